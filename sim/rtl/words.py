"""Input words of the cores, computed on the host: grid values and packed nits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DeviceError
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN
from ninefold.spec.text import counted

__all__ = ["DEPTH", "LANES", "check_last", "ends", "fitting", "grid", "grid_words", "nit_words", "nits_of_bytes"]

#: Lanes of the models. In simulation 64 lanes score 25 % faster than 32, but take nearly twice as long to compile.
LANES = 32
#: Capacity of a model's store in vectors; larger databases are paged through it.
DEPTH = 8192
_DIMENSIONS = (64, 384, 1024, 4096)


def fitting(wanted: int, sizes: tuple[int, ...] = _DIMENSIONS) -> int:
    """Return the smallest of `sizes`, given in ascending order, that is at least `wanted`."""
    return next(size for size in sizes if size >= wanted)


def grid(x: npt.NDArray[Any], scale: float) -> npt.NDArray[np.int16]:
    """Return the grid values of `x`: one float32 product, times 2**12, rounded half to even, saturated.

    Parameters
    ----------
    x : array
        Real numbers without NaN, or complex numbers, whose imaginary part is ignored.
    scale : float
        A normal float32 number.

    Returns
    -------
    array
        int16, of the shape of `x`.
    """
    with np.errstate(over="ignore", under="ignore"):  # infinity saturates, and an underflow is 0 on the grid
        y = x.real.astype(np.float32) * np.float32(scale)
    scaled = np.rint(y.astype(np.float64) * 2.0**GRID_FRACTION_BITS)  # the product is exact: a power of two, in float64
    return np.clip(scaled, GRID_MIN, GRID_MAX).astype(np.int16)


def grid_words(values: npt.NDArray[np.int16], width: int) -> npt.NDArray[np.uint8]:
    """Return rows of grid values as words of `LANES`, padded with 0 to `width`: uint8 (words, 2 * LANES)."""
    filled = np.zeros((len(values), width), "<i2")
    filled[:, : values.shape[1]] = values
    return filled.view(np.uint8).reshape(-1, 2 * LANES)


def nit_words(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Return rows of packed nits as words of `LANES`, padded with 0 to `width` nits: uint8 (words, LANES / 2)."""
    filled = np.zeros((len(packed), width // 2), np.uint8)
    filled[:, : packed.shape[1]] = packed
    return filled.reshape(-1, LANES // 2)


def nits_of_bytes(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Return the two's complement nibbles of bytes, low nibble first, as int8; the last axis doubles."""
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)
    return ((nibbles ^ 8).astype(np.int8) - 8).astype(np.int8)


def ends(count: int, batch: int) -> npt.NDArray[np.uint8]:
    """Return the ``last`` flags of `count` beats in batches of `batch`: uint8 (count,)."""
    last = np.zeros(count, np.uint8)
    last[batch - 1 :: batch] = 1
    return last


def check_last(name: str, last: npt.NDArray[Any], batch: int) -> None:
    """Raise `DeviceError` unless a core set ``last`` on the final beat of each batch, and on no other beat."""
    wrong = np.flatnonzero(last != ends(len(last), batch))
    if len(wrong):
        raise DeviceError(
            f"beat {wrong[0]} of {name} has last = {last[wrong[0]]}, but each batch has {counted(batch, 'beat')}"
        )
