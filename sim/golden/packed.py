"""Packed nits, one nibble at a time."""

import numpy as np
import numpy.typing as npt

__all__ = ["pack", "unpack"]


def pack(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Pack int8 nits (N, D) into uint8 (N, ceil(D/2)): element 0 in the low nibble, an odd count padded with 0."""
    rows, dimensions = nits.shape
    packed = np.zeros((rows, (dimensions + 1) // 2), np.uint8)
    for d in range(dimensions):
        packed[:, d // 2] |= ((nits[:, d].astype(np.int64) & 15) << (4 * (d % 2))).astype(np.uint8)
    return packed


def unpack(packed: npt.NDArray[np.uint8], dimensions: int) -> npt.NDArray[np.int8]:
    """Unpack nits packed by `pack`: uint8 (N, ceil(D/2)) to int8 (N, D)."""
    nits = np.zeros((packed.shape[0], dimensions), np.int8)
    for d in range(dimensions):
        nibble = (packed[:, d // 2].astype(np.int64) >> (4 * (d % 2))) & 15
        nits[:, d] = np.where(nibble >= 8, nibble - 16, nibble)
    return nits
