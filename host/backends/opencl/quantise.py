"""``quantise`` on OpenCL: comparisons with the least number of each nit, independent of a device's rounding."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import float_bits, least_magnitudes
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 3}

#: Numbers in one launch.
_BLOCK = 1 << 24


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise each number."""
    x = np.asarray(call.arguments["x"])
    with device.timed() as metrics:
        numbers = float_bits(x).reshape(-1)
        nits = np.empty(numbers.shape, np.int8)
        least = [np.uint32(bits) for bits in least_magnitudes(call.options["scale"], call.options["mode"])]
        for first in range(0, len(numbers), _BLOCK):
            block, out = numbers[first : first + _BLOCK], nits[first : first + _BLOCK]
            kernel = device.launcher.kernel(("quantise.cl",), "quantise")
            device.launcher.launch(kernel, (len(block),), None, block, np.uint64(len(block)), *least, Out(out))
    return Answer({"nits": nits.reshape(x.shape)}, f"comparisons on {device.entry.name}", metrics)
