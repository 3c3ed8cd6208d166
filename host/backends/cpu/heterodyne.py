"""``heterodyne`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.heterodyne import heterodyne, turn_rates
from ninefold.spec.data import Answer
from ninefold.spec.operators.heterodyne import GAIN
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Mix the waves."""
    kernel = device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"mixed": heterodyne(call)}, "numpy", metrics)
        a, b, t = (np.ascontiguousarray(call.arguments[name]) for name in ("a", "b", "t"))
        mixed = np.empty(a.shape, np.complex64)
        kernel("heterodyne", a, b, *turn_rates(call), t, *a.shape, GAIN, mixed)
    return Answer({"mixed": mixed}, device.path, metrics)
