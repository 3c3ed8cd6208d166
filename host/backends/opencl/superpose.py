"""``superpose`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import least_magnitudes
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 3}

#: Sums in one launch.
_BLOCK = 1 << 23


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Add the real parts, and quantise the sums."""
    a, b = (np.ascontiguousarray(call.arguments[name]).reshape(-1) for name in ("a", "b"))
    with device.timed() as metrics:
        nits = np.empty(a.shape, np.int8)
        steps = [np.int32(wave.dtype.itemsize // 4) for wave in (a, b)]
        least = [np.uint32(bits) for bits in least_magnitudes(1.0, "linear")]
        kernel = device.launcher.kernel(("superpose.cl",), "superpose")
        for first in range(0, len(a), _BLOCK):
            part = slice(first, first + _BLOCK)
            waves = a[part], steps[0], b[part], steps[1], np.uint64(len(a[part]))
            device.launcher.launch(kernel, (len(a[part]),), None, *waves, *least, Out(nits[part]))
    return Answer({"nits": nits.reshape(call.arguments["a"].shape)}, f"sums on {device.entry.name}", metrics)
