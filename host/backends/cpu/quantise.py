"""``quantise`` on the CPU."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.quantise import float_bits, least_magnitudes, quantise
from ninefold.spec.data import Answer
from ninefold.spec.formats import Mode
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6
#: Numbers in one call of the kernel, so that the copy as float32 stays small.
_NUMBERS = 1 << 22


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise each number."""
    x, scale, mode = np.asarray(call.arguments["x"]), call.options["scale"], call.options["mode"]
    kernel = device.engine.kernel
    with device.timed() as metrics:
        nits = quantise(x, scale, mode) if kernel is None else _by_kernel(kernel, x, scale, mode)
    return Answer({"nits": nits}, "numpy" if kernel is None else device.path, metrics)


def _by_kernel(kernel: Kernel, x: npt.NDArray[Any], scale: float, mode: Mode) -> npt.NDArray[np.int8]:
    least = np.array(least_magnitudes(scale, mode), np.int32)
    flat, nits = x.reshape(-1), np.empty(x.size, np.int8)
    for part in blocks(x.size, _NUMBERS):
        bits = float_bits(flat[part])
        kernel("quantise", bits, len(bits), least, nits[part])
    return nits.reshape(x.shape)
