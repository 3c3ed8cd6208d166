"""Hilbert curve: Skilling's transform of many points at once, in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["decoded", "encoded"]

_Words = npt.NDArray[np.uint64]


def encoded(coords: npt.NDArray[Any], bits: int) -> _Words:
    """Return the index of each point along the Hilbert curve.

    Parameters
    ----------
    coords : integers of shape (N, D)
        Points, each coordinate from 0 to ``2**bits - 1``.
    bits : int
        Bits of a coordinate; ``D * bits`` is 1 to 64.

    Returns
    -------
    uint64 array of shape (N,)
        Indices, below ``2**(D * bits)``.
    """
    x = [np.array(coords[:, i], np.uint64) for i in range(coords.shape[1])]
    for bit in range(bits - 1, 0, -1):
        for i in range(len(x)):
            _turn(x, bit, i)
    for i in range(1, len(x)):
        x[i] ^= x[i - 1]
    # Bit b of the parity is the sum, without carries, of the bits above b.
    parity = x[-1] >> np.uint64(1)
    for shift in (1, 2, 4, 8, 16, 32):
        parity ^= parity >> np.uint64(shift)
    index = np.zeros(len(coords), np.uint64)
    for bit in range(bits - 1, -1, -1):
        for one in x:
            index = index << np.uint64(1) | (one ^ parity) >> np.uint64(bit) & np.uint64(1)
    return index


def decoded(index: npt.NDArray[Any], dimensions: int, bits: int) -> _Words:
    """Return the point at each index along the Hilbert curve.

    Parameters
    ----------
    index : integers of shape (N,)
        Indices from 0 to ``2**(dimensions * bits) - 1``.
    dimensions, bits : int
        Coordinates of a point, and bits of each; their product is 1 to 64.

    Returns
    -------
    uint64 array of shape (N, dimensions)
        Points.
    """
    words = index.astype(np.uint64)
    x = [np.zeros(len(words), np.uint64) for _ in range(dimensions)]
    for bit in range(bits):
        for i in range(dimensions):
            place = np.uint64(dimensions * bit + dimensions - 1 - i)
            x[i] |= (words >> place & np.uint64(1)) << np.uint64(bit)
    coded = x[-1] >> np.uint64(1)
    for i in range(dimensions - 1, 0, -1):
        x[i] ^= x[i - 1]
    x[0] ^= coded
    for bit in range(1, bits):
        for i in range(dimensions - 1, -1, -1):
            _turn(x, bit, i)
    return np.stack(x, axis=1)


def _turn(x: list[_Words], bit: int, i: int) -> None:
    """Invert the bits of x[0] below a bit where x[i] has it, else swap them with x[i]'s."""
    below = np.uint64((1 << bit) - 1)
    one = np.uint64(0) - (x[i] >> np.uint64(bit) & np.uint64(1))
    swapped = (x[0] ^ x[i]) & below & ~one
    x[i] ^= swapped
    x[0] ^= swapped | below & one
