"""Words of the cores' streams: grid values, packed nits and ``last`` flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import widened
from ninefold.spec.errors import DeviceError
from ninefold.spec.text import counted

__all__ = ["DEPTH", "LANES", "check_last", "ends", "fitting", "grid_words", "nit_words"]

#: Lanes of the models. In simulation 64 lanes score 25 % faster than 32, but take nearly twice as long to compile.
LANES = 32
#: Capacity of a model's store in vectors; larger databases are paged through it.
DEPTH = 8192
_DIMENSIONS = (64, 384, 1024, 4096)


def fitting(wanted: int, sizes: tuple[int, ...] = _DIMENSIONS) -> int:
    """Return the smallest of `sizes`, given in ascending order, that is at least `wanted`."""
    return next(size for size in sizes if size >= wanted)


def grid_words(values: npt.NDArray[np.int16], width: int) -> npt.NDArray[np.uint8]:
    """Return rows of grid values as words of `LANES`, padded with 0 to `width`: uint8 (words, 2 * LANES)."""
    return widened(values.astype("<i2", copy=False), width).view(np.uint8).reshape(-1, 2 * LANES)


def nit_words(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Return rows of packed nits as words of `LANES`, padded with 0 to `width` nits: uint8 (words, LANES / 2)."""
    return widened(packed, width // 2).reshape(-1, LANES // 2)


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
