"""The sign plane of a database: one bit a nit, and the scores of queries against it."""

import numpy as np
import numpy.typing as npt

__all__ = ["coarse_scores", "sign_nits", "sign_plane"]

#: Bytes of packed nits converted together, and elements of sign bits multiplied together.
_BLOCK = 1 << 20


def sign_plane(packed: npt.NDArray[np.uint8], dimensions: int) -> npt.NDArray[np.uint8]:
    """Return the sign bits of packed nits: 1 where a nit is negative; 0 counts as positive.

    Parameters
    ----------
    packed : uint8 array of shape (N, ceil(dimensions / 2))
        Rows of nits, as `ninefold.numerics.nits.pack` returns them.
    dimensions : int
        Number of nits in a row.

    Returns
    -------
    uint8 array of shape (N, ceil(dimensions / 8))
        Dimension 0 is the lowest bit of byte 0; bits from `dimensions` on are 0.
    """
    plane = np.empty((len(packed), (dimensions + 7) // 8), np.uint8)
    step = max(1, _BLOCK // max(1, packed.shape[1]))
    for first in range(0, len(packed), step):
        block = packed[first : first + step]
        bits = np.empty((len(block), 2 * packed.shape[1]), np.uint8)
        bits[:, 0::2], bits[:, 1::2] = block >> 3 & 1, block >> 7
        plane[first : first + step] = np.packbits(bits[:, :dimensions], axis=1, bitorder="little")
    return plane


def coarse_scores(
    queries: npt.NDArray[np.int8], plane: npt.NDArray[np.uint8], dimensions: int
) -> npt.NDArray[np.int32]:
    """Return the sums of the queries' nits, each negated where a row's bit is set.

    Parameters
    ----------
    queries : int8 array of shape (Q, dimensions)
        Nits.
    plane : uint8 array of shape (N, ceil(dimensions / 8))
        Result of `sign_plane`.
    dimensions : int
        Number of nits in a row.

    Returns
    -------
    int32 array of shape (Q, N)
        Integers of magnitude 4 * dimensions at most.
    """
    wide = queries.astype(np.float32)  # exact: no sum exceeds 2**24
    whole = wide.sum(axis=1, keepdims=True)
    scores = np.empty((len(queries), len(plane)), np.int32)
    step = max(1, _BLOCK // max(1, dimensions))
    for first in range(0, len(plane), step):
        bits = np.unpackbits(plane[first : first + step], axis=1, count=dimensions, bitorder="little")
        scores[:, first : first + step] = whole - 2 * (wide @ bits.T.astype(np.float32))
    return scores


def sign_nits(packed: npt.NDArray[np.uint8], dimensions: int) -> npt.NDArray[np.uint8]:
    """Return packed nits of 1 and -1 for the signs of packed nits, so that a product of nits is a coarse score.

    Parameters
    ----------
    packed : uint8 array of shape (N, ceil(dimensions / 2))
        Rows of nits.
    dimensions : int
        Number of nits in a row; the nibble that pads an odd number stays 0.
    """
    # A negative nibble has its top bit set. Times 14 that bit turns 1 into 15, which is -1.
    signs = 0x11 + 14 * (packed >> 3 & 0x11)
    if dimensions % 2:
        signs[:, -1] &= 15
    return signs.astype(np.uint8)
