"""Layout of rows and queries in a device's memory."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCK_BYTES",
    "COLUMN_NITS",
    "ROWS",
    "SIGN_BYTES",
    "SIGN_ROWS",
    "byte_words",
    "columns_of",
    "pair_words",
    "row_words",
    "sign_queries",
    "sign_words",
]

#: Rows in a block, and nits in one column; a column of two rows takes one 32-bit word.
ROWS, COLUMN_NITS = 32, 4
#: Bytes of one column of a block.
BLOCK_BYTES = ROWS * COLUMN_NITS // 2
#: Rows in a block of signs, and bytes of one word of its rows.
SIGN_ROWS = 8
SIGN_BYTES = SIGN_ROWS * 8


def columns_of(dimensions: int) -> int:
    """Return the number of columns of a row: ceil(dimensions / 4)."""
    return -(-dimensions // COLUMN_NITS)


def row_words(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Arrange rows in blocks of 32, column by column, with one word for rows i and i + 8.

    Parameters
    ----------
    packed : uint8 array of shape (N, ceil(D / 2))
        Packed nits.

    Returns
    -------
    uint32 array of shape (ceil(N / 32), ceil(D / 4), 16)
        The 4 nits of each block, column and pair of rows (0 and 8, ..., 7 and 15, 16 and 24, ..., 23 and 31). The nits
        of the first row are in the low nibbles of the bytes, with their top bits flipped. The nits of the second row
        are in the high nibbles, in the order 1, 0, 3, 2. Zeros (as nits) fill columns and blocks.
    """
    rows, width = packed.shape
    columns = -(-width // 2)
    whole = np.zeros((-(-rows // ROWS) * ROWS, columns * 2), np.uint8)
    whole[:rows, :width] = packed
    pairs = whole.reshape(-1, 2, 2, 8, columns * 2)
    first, second = pairs[:, :, 0] ^ np.uint8(0x88), pairs[:, :, 1]
    words = np.empty((*first.shape, 2), np.uint8)
    words[..., 0] = (first & np.uint8(0x0F)) | (second & np.uint8(0xF0))
    words[..., 1] = (first >> np.uint8(4)) | (second << np.uint8(4))
    return np.ascontiguousarray(words.reshape(-1).view("<u4").reshape(-1, ROWS // 2, columns).transpose(0, 2, 1))


def pair_words(nits: npt.NDArray[np.int8], together: int) -> npt.NDArray[np.int16]:
    """Arrange queries in the order in which vector.cl reads them.

    Parameters
    ----------
    nits : int8 array of shape (Q, D)
        Queries.
    together : int
        Queries in a group; the last group is filled with zeros.

    Returns
    -------
    int16 array of shape (groups, columns, 2, together, 2)
        Nits j and j + 2 of each column, next to each other.
    """
    parts = _columns(nits, together).reshape(-1, together, columns_of(nits.shape[1]), 2, 2).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(parts, np.int16)


def byte_words(nits: npt.NDArray[np.int8], together: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Arrange queries in the order in which group.cl reads them.

    Parameters
    ----------
    nits, together
        As in `pair_words`.

    Returns
    -------
    int8 array of shape (groups, columns, 2, together, 4)
        Elements of each column, once in order and once in the order 1, 0, 3, 2.
    int32 array of shape (groups * together,)
        -8 times the sum of each query.
    """
    whole = _columns(nits, together)
    parts = np.stack([whole, whole[:, :, [1, 0, 3, 2]]], axis=2)
    parts = parts.reshape(-1, together, *parts.shape[1:]).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(parts), -8 * whole.sum(axis=(1, 2), dtype=np.int32)


def _columns(nits: npt.NDArray[np.int8], together: int) -> npt.NDArray[Any]:
    """Return queries by columns, padded to whole groups: (groups * together, columns, 4)."""
    queries, dimensions = nits.shape
    whole = np.zeros((-(-queries // together) * together, columns_of(dimensions) * COLUMN_NITS), np.int8)
    whole[:queries, :dimensions] = nits
    return whole.reshape(len(whole), -1, COLUMN_NITS)


def sign_words(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Arrange the sign bits of rows in blocks of 8, word by word.

    Parameters
    ----------
    plane : uint8 array of shape (N, ceil(D / 8))
        Result of `ninefold.numerics.signs.sign_plane`.

    Returns
    -------
    uint64 array of shape (ceil(N / 8), ceil(D / 64), 8)
        Zeros fill words and blocks.
    """
    rows, width = plane.shape
    words = -(-width // 8)
    whole = np.zeros((-(-rows // SIGN_ROWS) * SIGN_ROWS, words * 8), np.uint8)
    whole[:rows, :width] = plane
    return np.ascontiguousarray(whole.view("<u8").reshape(-1, SIGN_ROWS, words).transpose(0, 2, 1))


def sign_queries(nits: npt.NDArray[np.int8], together: int, words: int) -> npt.NDArray[np.uint64]:
    """Arrange queries in the order in which signs.cl reads them.

    Parameters
    ----------
    nits : int8 array of shape (Q, D)
        Queries.
    together : int
        Queries in a group; the last group is filled with the last query.
    words : int
        Number of words of 64 dimensions.

    Returns
    -------
    uint64 array of shape (groups, words, together, 4)
        Sign bits, and bits 0, 1 and 2 of the magnitudes.
    """
    last = np.minimum(np.arange(-(-len(nits) // together) * together), len(nits) - 1)
    magnitudes = np.abs(nits)
    bits = np.stack([nits < 0, magnitudes & 1, magnitudes & 2, magnitudes & 4], axis=1).astype(np.bool_)[last]
    packed = np.zeros((len(last), 4, words * 8), np.uint8)
    packed[:, :, : -(-nits.shape[1] // 8)] = np.packbits(bits, axis=2, bitorder="little")
    parts = packed.view("<u8").reshape(-1, together, 4, words).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(parts)
