"""``superpose`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import least_magnitudes, quantise
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Add the real parts, and quantise the sums."""
    a, b = np.asarray(call.arguments["a"]), np.asarray(call.arguments["b"])
    kernel = device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            with np.errstate(over="ignore"):  # a sum beyond float32 is infinite and saturates
                return Answer({"nits": quantise(a.real + b.real, 1.0, "linear")}, "numpy", metrics)
        nits = np.empty(a.shape, np.int8)
        # Real parts stay where they are: every second number of a complex array.
        waves = ((np.ascontiguousarray(wave), wave.dtype.itemsize // 4) for wave in (a, b))
        arguments = [one for wave in waves for one in wave]
        kernel("superpose", *arguments, a.size, np.array(least_magnitudes(1.0, "linear"), np.int32), nits)
    return Answer({"nits": nits}, device.path, metrics)
