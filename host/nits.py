"""Packed nits: two per byte, each a 4-bit two's complement nibble, element 0 in the low one."""

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import NIT_MAX, NIT_MIN, RECIPROCAL_BITS
from ninefold.spec.operators import OPERATORS

__all__ = ["check", "check_database", "pack", "reciprocals", "unpack"]

#: Bytes that `check` reads at a time, so that a database larger than memory can be checked.
_BLOCK_BYTES = 1 << 20
#: Databases that passed the check, for any device; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()


def pack(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Pack nits two per byte.

    Parameters
    ----------
    nits : int8 array of shape (..., D)
        Values from -4 to 4.

    Returns
    -------
    uint8 array of shape (..., ceil(D / 2))
        C-contiguous; an odd D pads the last high nibble with 0.

    Raises
    ------
    InputError
        Another dtype, or a value that is not a nit; the message gives its position.
    """
    if nits.dtype != np.int8:
        raise InputError(f"nits must have dtype int8, not {nits.dtype.name}")
    if nits.ndim == 0:
        raise InputError("nits must have at least one axis")
    if nits.size and (nits.min() < NIT_MIN or nits.max() > NIT_MAX):
        position = tuple(int(i) for i in np.argwhere((nits < NIT_MIN) | (nits > NIT_MAX))[0])
        raise InputError(f"nits must be {NIT_MIN} to {NIT_MAX}, not {nits[position]} at {position}")
    nibbles = nits.view(np.uint8) & np.uint8(15) if nits.flags.c_contiguous else nits.astype(np.uint8) & np.uint8(15)
    packed = np.array(nibbles[..., 0::2])
    packed[..., : nits.shape[-1] // 2] |= nibbles[..., 1::2] << np.uint8(4)
    return packed


def unpack(packed: npt.NDArray[np.uint8], dimensions: int) -> npt.NDArray[np.int8]:
    """Undo `pack`.

    Parameters
    ----------
    packed : uint8 array of shape (..., ceil(dimensions / 2))
        Result of `pack`.
    dimensions : int
        Number of nits in a row.

    Returns
    -------
    int8 array of shape (..., dimensions)

    Raises
    ------
    InputError
        Another dtype or shape, a nibble outside -4 to 4, or padding other than 0; the message gives the position.
    """
    check(packed, dimensions)
    nits = np.empty((*packed.shape[:-1], dimensions), np.int8)
    # Shifting a signed byte left and then right extends the sign of a nibble.
    signed = packed.view(np.int8)
    nits[..., 0::2] = signed << np.int8(4) >> np.int8(4)
    nits[..., 1::2] = signed[..., : dimensions // 2] >> np.int8(4)
    return nits


def check(packed: npt.NDArray[np.uint8], dimensions: int) -> None:
    """Raise `InputError` unless `packed` holds rows of `dimensions` nits; the message gives the first wrong position.

    Parameters
    ----------
    packed : uint8 array of shape (..., ceil(dimensions / 2))
        Array to check, read in blocks, so that a memory-mapped array is never entirely in memory.
    dimensions : int
        Number of nits in a row.
    """
    if packed.dtype != np.uint8:
        raise InputError(f"packed nits must have dtype uint8, not {packed.dtype.name}")
    width = (dimensions + 1) // 2
    if packed.ndim == 0 or dimensions < 1 or packed.shape[-1] != width:
        raise InputError(f"packed nits of {dimensions} dimensions must have shape (..., {width}), not {packed.shape}")
    rows = packed.reshape(-1, width)
    step = max(1, _BLOCK_BYTES // width)
    for first in range(0, len(rows), step):
        # With 4 added, exactly the nibbles of nits are 0 to 8.
        block: npt.NDArray[Any] = rows[first : first + step]
        low, high = (block + np.uint8(4)) & np.uint8(15), ((block >> np.uint8(4)) + np.uint8(4)) & np.uint8(15)
        if low.max() > 8 or high.max() > 8 or (dimensions % 2 and (high[:, -1] != 4).any()):
            _refuse(block, dimensions, first, packed.shape)


def _refuse(block: npt.NDArray[np.uint8], dimensions: int, first: int, shape: tuple[int, ...]) -> None:
    nibbles = np.stack([block & np.uint8(15), block >> np.uint8(4)], axis=-1).reshape(len(block), -1)
    wrong = (nibbles > NIT_MAX) & (nibbles < 16 + NIT_MIN)
    if dimensions % 2:
        wrong[:, -1] = nibbles[:, -1] != 0
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    position = (*(int(i) for i in np.unravel_index(first + row, shape[:-1])), column)
    if column == dimensions:
        raise InputError(f"the padding nibble at {position} must be 0, not {nibbles[row, column]}")
    value = int(nibbles[row, column]) - 16 * int(nibbles[row, column] > 7)
    raise InputError(f"packed nits must be {NIT_MIN} to {NIT_MAX}, not {value} at {position}")


def check_database(database: Database) -> None:
    """Raise `InputError` unless ``mine`` accepts a database; each is checked once per process.

    Raises
    ------
    InputError
        ``nits`` is not rows x dimensions packed nits (the message gives the first wrong position), or ``quantise`` does
        not accept scale or mode.
    """
    if database in _CHECKED:
        return
    rows, dimensions = int(database.attributes["rows"]), int(database.attributes["dimensions"])
    packed = np.asarray(database.require("nits"))
    if packed.ndim != 2 or len(packed) != rows:
        raise InputError(f"the database must hold {rows} rows of packed nits, not an array of {packed.shape}")
    check(packed, dimensions)
    # Queries will be quantised with this scale and mode, so the operator's contract checks them now.
    settings = {name: database.attributes.get(name) for name in ("scale", "mode")}
    OPERATORS["quantise"].bind({"x": np.zeros((0, dimensions), np.float32)}, settings)
    _CHECKED.add(database)


def reciprocals(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the factors of ``normalised`` similarity, which is ``(score * factor) >> 8``.

    Parameters
    ----------
    vectors : float32 array of shape (N, D)
        Nits.

    Returns
    -------
    int64 array of shape (N,)
        2**16 / length of each row as (isqrt(2**34 // n) + 1) >> 1, n its sum of squares; 0 for a row of zeros.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors).astype(np.int64)
    # The quotient fits a double and its square root is correctly rounded, so the floor is the integer root.
    roots = np.sqrt((1 << RECIPROCAL_BITS) // np.maximum(squares, 1)).astype(np.int64)
    return np.where(squares == 0, 0, (roots + 1) >> 1)
