"""``quantise`` on OpenCL: comparisons with the least number of each nit, independent of a device's rounding."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer
from ninefold.spec.formats import GRID_FRACTION_BITS, THRESHOLDS
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "reached", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 3}

#: Numbers in one launch.
_BLOCK = 1 << 24
_INFINITY = 0x7F800000


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise each number."""
    x = np.asarray(call.arguments["x"])
    with device.timed() as metrics:
        numbers = _bits(x).reshape(-1)
        nits = np.empty(numbers.shape, np.int8)
        least = [np.uint32(bits) for bits in reached(call.options["scale"], call.options["mode"])]
        for first in range(0, len(numbers), _BLOCK):
            block, out = numbers[first : first + _BLOCK], nits[first : first + _BLOCK]
            kernel = device.launcher.kernel(("quantise.cl",), "quantise")
            device.launcher.launch(kernel, (len(block),), None, block, np.uint64(len(block)), *least, Out(out))
    return Answer({"nits": nits.reshape(x.shape)}, f"comparisons on {device.entry.name}", metrics)


@functools.lru_cache(maxsize=64)
def reached(scale: float, mode: str) -> tuple[int, int, int, int]:
    """Return the bits of the least float32 magnitudes whose nit is 1, 2, 3 and 4.

    The grid value, round(4096 * float32(x * scale)), never falls as x grows. Each magnitude is therefore found by
    bisection over the bits of the numbers from 0 to infinity, which saturates and so reaches every threshold.
    """
    a, b, c, d = (_least(np.float32(scale), t) for t in THRESHOLDS[mode].reached_at)  # type: ignore[index]
    return a, b, c, d


def _bits(x: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    with np.errstate(over="ignore", under="ignore"):  # a value beyond float32 becomes infinite and saturates
        return np.ascontiguousarray(x.real, np.float32).view(np.uint32)


def _least(scale: np.float32, threshold: int) -> int:
    low, high = 0, _INFINITY  # low is below the threshold, high is not
    while high - low > 1:
        middle = (low + high) // 2
        with np.errstate(over="ignore", under="ignore"):
            y = np.uint32(middle).view(np.float32) * scale * np.float32(1 << GRID_FRACTION_BITS)
        low, high = (low, middle) if np.rint(y) >= threshold else (middle, high)
    return high
