"""Quantiser: grid values and nits of numbers, in NumPy."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, THRESHOLDS, Mode

__all__ = ["float_bits", "grid", "least_magnitudes", "quantise"]

#: Numbers quantised together, so that intermediate arrays stay in the processor's cache.
_BLOCK = 1 << 16
_INFINITY = 0x7F800000


def quantise(x: npt.NDArray[Any], scale: float, mode: Mode) -> npt.NDArray[np.int8]:
    """Return the nits of `x` (as `grid` takes it), int8 of its shape; only the real part of complex numbers counts."""
    flat = x.real.reshape(-1)
    nits = np.empty(flat.shape, np.int8)
    for first in range(0, len(flat), _BLOCK):
        nits[first : first + _BLOCK] = _decide(flat[first : first + _BLOCK], scale, mode)
    return nits.reshape(x.shape)


def grid(x: npt.NDArray[Any], scale: float) -> npt.NDArray[np.int16]:
    """Return the grid values of numbers, int16 of their shape: one float32 product, saturated, 12 bits of fraction.

    Parameters
    ----------
    x : array
        Real numbers without NaN, or complex numbers, whose imaginary part is ignored.
    scale : float
        A normal float32 number.
    """
    with np.errstate(over="ignore", under="ignore"):  # an overflow becomes infinite and saturates
        y = x.real.astype(np.float32) * np.float32(scale)
        y *= np.float32(1 << GRID_FRACTION_BITS)  # exact: a power of two
    saturated: npt.NDArray[np.float32] = np.rint(y, out=y).clip(GRID_MIN, GRID_MAX, out=y)
    return saturated.astype(np.int16)


def _decide(x: npt.NDArray[Any], scale: float, mode: Mode) -> npt.NDArray[np.int8]:
    g = grid(x, scale)
    # Thresholds reached upward minus thresholds reached downward. A magnitude of -32768 would not fit 16 bits.
    nits = np.zeros(g.shape, np.int8)
    for t in _thresholds(mode):
        nits += g >= t
        nits -= (g <= -t).view(np.int8)
    return nits


@functools.lru_cache
def _thresholds(mode: Mode) -> tuple[int, int, int, int]:
    return THRESHOLDS[mode].reached_at


@functools.lru_cache(maxsize=64)
def least_magnitudes(scale: float, mode: Mode) -> tuple[int, int, int, int]:
    """Return the bits of the least float32 magnitudes whose nit is 1, 2, 3 and 4.

    The grid value, round(4096 * float32(x * scale)), never falls as x grows. Each magnitude is therefore found by
    bisection over the bits of the numbers from 0 to infinity, which saturates and so reaches every threshold.
    """
    a, b, c, d = (_least(np.float32(scale), t) for t in THRESHOLDS[mode].reached_at)
    return a, b, c, d


def float_bits(x: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return the bits of numbers (as `grid` takes them) as float32, C-contiguous, of their shape."""
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
