"""``heterodyne`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.heterodyne import turn_rates, two_floats
from ninefold.spec.data import Answer
from ninefold.spec.operators.heterodyne import GAIN
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 6, "npu": 4, "cpu": 3}

#: Numbers in one launch.
_BLOCK = 1 << 22


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Mix the waves."""
    a, b, t = (np.ascontiguousarray(call.arguments[name]) for name in ("a", "b", "t"))
    columns = a.shape[1]
    with device.timed() as metrics:
        mixed = np.empty(a.shape, np.complex64)
        kernel = device.launcher.kernel(("heterodyne.cl",), "heterodyne")
        rates = [two_floats(rate) for rate in turn_rates(call)]
        rows = max(1, _BLOCK // max(1, columns))
        for first in range(0, len(a) if columns else 0, rows):
            part = slice(first, first + rows)
            size, out = a[part].size, mixed[part]
            numbers = np.uint64(size), np.uint32(columns), np.float32(GAIN)
            device.launcher.launch(
                kernel, (size,), None, a[part], b[part], *rates, two_floats(t[part]), *numbers, Out(out)
            )
    return Answer({"mixed": mixed}, f"one number a work-item on {device.entry.name}", metrics)
