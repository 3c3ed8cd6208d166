"""Golden model of ``quantise``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, THRESHOLDS, Mode
from ninefold.spec.signature import Call

__all__ = ["grid", "nits_by_thresholds", "nits_of_grid", "quantise", "run"]


def grid(x: npt.NDArray[Any], scale: float) -> npt.NDArray[np.int32]:
    """Return the grid values of real `x`: clip(round-half-even(4096 * y)) with y = float32(x) * float32(scale)."""
    with np.errstate(over="ignore"):  # Overflow gives infinity, which saturates.
        y = x.astype(np.float32) * np.float32(scale)
    # The product with a power of two is exact in float64, and rint rounds halves to even.
    g = np.rint(y.astype(np.float64) * 2**GRID_FRACTION_BITS)
    return np.clip(g, GRID_MIN, GRID_MAX).astype(np.int32)


def nits_of_grid(g: npt.NDArray[Any], mode: Mode) -> npt.NDArray[np.int8]:
    """Return the nits of grid values: sign(g) times the number of thresholds that |g| reaches."""
    thresholds = THRESHOLDS[mode]
    magnitude = np.abs(g.astype(np.int32))
    nit = np.zeros(g.shape, np.int8)
    for t in thresholds.values:
        nit += (magnitude >= t) if thresholds.inclusive else (magnitude > t)
    return np.where(g < 0, -nit, nit).astype(np.int8)


def nits_by_thresholds(g: npt.NDArray[Any], reached_at: Sequence[int]) -> npt.NDArray[np.int8]:
    """Return the nits of grid values for written thresholds, in any order; each threshold at or below |g| counts."""
    magnitude = np.abs(g.astype(np.int64))
    nit = np.zeros(g.shape, np.int8)
    for threshold in reached_at:
        nit += magnitude >= threshold
    return np.where(g < 0, -nit, nit).astype(np.int8)


def quantise(x: npt.NDArray[Any], scale: float, mode: Mode = "tanh") -> npt.NDArray[np.int8]:
    """Return the nits of `x`; only the real part of complex numbers counts."""
    return nits_of_grid(grid(x.real, scale), mode)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    return {"nits": quantise(call.arguments["x"], call.options["scale"], call.options["mode"])}
