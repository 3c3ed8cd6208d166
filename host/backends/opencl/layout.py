"""How rows and queries lie in a device's memory."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMN_NITS", "ROWS", "byte_words", "columns_of", "pair_words", "row_words"]

#: Rows in a block, and nits in one column, which is one 32-bit word a row.
ROWS, COLUMN_NITS = 32, 8


def columns_of(dimensions: int) -> int:
    """Return how many words a row takes: ceil(dimensions / 8)."""
    return -(-dimensions // COLUMN_NITS)


def row_words(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Lay rows out in blocks of 32, each column by column.

    Parameters
    ----------
    packed : uint8 array of shape (N, ceil(D / 2))
        Packed nits.

    Returns
    -------
    uint32 array of shape (ceil(N / 32), ceil(D / 8), 32)
        The word of 8 nits, nit 0 in the low nibble, of block, column and row; zeros fill columns and blocks.
    """
    rows, width = packed.shape
    columns = -(-width // 4)
    whole = np.zeros((-(-rows // ROWS) * ROWS, columns * 4), np.uint8)
    whole[:rows, :width] = packed
    words = whole.view("<u4").reshape(-1, ROWS, columns).transpose(0, 2, 1)
    return np.ascontiguousarray(words)


def pair_words(nits: npt.NDArray[np.int8], together: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Lay queries out as vector.cl reads them.

    Parameters
    ----------
    nits : int8 array of shape (Q, D)
        Queries.
    together : int
        Queries in a group; the last one is filled with zeros.

    Returns
    -------
    int16 array of shape (groups, columns, 4, together, 2)
        Nits j and j + 4 of each column, side by side.
    int32 array of shape (groups * together,)
        -8 times the sum of each query without nits 3 and 7 of each column.
    """
    whole = _groups(nits, together)
    groups, columns = len(whole) // together, whole.shape[1] // COLUMN_NITS
    parts = whole.reshape(groups, together, columns, 2, 4).transpose(0, 2, 4, 1, 3)
    flipped = whole.reshape(len(whole), -1, 4)[:, :, :3]
    return np.ascontiguousarray(parts, np.int16), -8 * flipped.sum(axis=(1, 2), dtype=np.int32)


def byte_words(nits: npt.NDArray[np.int8], together: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Lay queries out as group.cl reads them.

    Parameters
    ----------
    nits, together
        As in `pair_words`.

    Returns
    -------
    int8 array of shape (groups, columns, 2, together, 4)
        The even, then the odd elements of each column.
    int32 array of shape (groups * together,)
        -8 times the sum of each query.
    """
    whole = _groups(nits, together)
    groups, columns = len(whole) // together, whole.shape[1] // COLUMN_NITS
    parts = whole.reshape(groups, together, columns, 4, 2).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(parts), -8 * whole.sum(axis=1, dtype=np.int32)


def _groups(nits: npt.NDArray[np.int8], together: int) -> npt.NDArray[Any]:
    queries, dimensions = nits.shape
    whole = np.zeros((-(-queries // together) * together, columns_of(dimensions) * COLUMN_NITS), np.int8)
    whole[:queries, :dimensions] = nits
    return whole
