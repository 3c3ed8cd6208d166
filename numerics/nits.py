"""Packed nits: two per byte, each a 4-bit two's complement nibble, element 0 in the low one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError
from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["check", "pack", "signed_nibbles", "unpack", "widened"]

#: Bytes that `check` reads at a time, so that a database larger than memory can be checked.
_BLOCK_BYTES = 1 << 20


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
    return signed_nibbles(packed, dimensions)


def signed_nibbles(packed: npt.NDArray[np.uint8], count: int | None = None) -> npt.NDArray[np.int8]:
    """Return the first `count` two's complement nibbles of each row of bytes (all without it), nits or not.

    Parameters
    ----------
    packed : uint8 array of shape (..., W)
        Bytes, the first nibble in the low half.
    count : int, optional
        2 * W, or 2 * W - 1 to drop the last nibble.

    Returns
    -------
    int8 array of shape (..., count)
    """
    count = 2 * packed.shape[-1] if count is None else count
    nibbles = np.empty((*packed.shape[:-1], count), np.int8)
    # Shifting a signed byte left and then right extends the sign of a nibble.
    signed = packed.view(np.int8)
    nibbles[..., 0::2] = signed << np.int8(4) >> np.int8(4)
    nibbles[..., 1::2] = signed[..., : count // 2] >> np.int8(4)
    return nibbles


def widened(rows: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Return rows (N, W) padded with zeros to `width` elements, in the dtype of `rows`."""
    filled = np.zeros((len(rows), width), rows.dtype)
    filled[:, : rows.shape[1]] = rows
    return filled


def check(packed: npt.NDArray[np.uint8], dimensions: int, name: str = "packed nits") -> None:
    """Raise `InputError` unless `packed` holds rows of `dimensions` nits; the message gives the first wrong position.

    Parameters
    ----------
    packed : uint8 array of shape (..., ceil(dimensions / 2))
        Array to check, read in blocks, so that a memory-mapped array is never entirely in memory.
    dimensions : int
        Number of nits in a row.
    name : str, optional
        Name of the array in messages, a plural.
    """
    if packed.dtype != np.uint8:
        raise InputError(f"{name} must have dtype uint8, not {packed.dtype.name}")
    width = (dimensions + 1) // 2
    if packed.ndim == 0 or dimensions < 1 or packed.shape[-1] != width:
        raise InputError(f"{name} of {dimensions} dimensions must have shape (..., {width}), not {packed.shape}")
    rows = packed.reshape(-1, width)
    step = max(1, _BLOCK_BYTES // width)
    for first in range(0, len(rows), step):
        # With 4 added, exactly the nibbles of nits are 0 to 8.
        block: npt.NDArray[Any] = rows[first : first + step]
        low, high = (block + np.uint8(4)) & np.uint8(15), ((block >> np.uint8(4)) + np.uint8(4)) & np.uint8(15)
        if low.max() > 8 or high.max() > 8 or (dimensions % 2 and (high[:, -1] != 4).any()):
            _refuse(block, dimensions, first, packed.shape, name)


def _refuse(block: npt.NDArray[np.uint8], dimensions: int, first: int, shape: tuple[int, ...], name: str) -> None:
    nibbles = np.stack([block & np.uint8(15), block >> np.uint8(4)], axis=-1).reshape(len(block), -1)
    wrong = (nibbles > NIT_MAX) & (nibbles < 16 + NIT_MIN)
    if dimensions % 2:
        wrong[:, -1] = nibbles[:, -1] != 0
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    position = (*(int(i) for i in np.unravel_index(first + row, shape[:-1])), column)
    if column == dimensions:
        raise InputError(f"the padding nibble of {name} at {position} must be 0, not {nibbles[row, column]}")
    value = int(nibbles[row, column]) - 16 * int(nibbles[row, column] > 7)
    raise InputError(f"{name} must be {NIT_MIN} to {NIT_MAX}, not {value} at {position}")
