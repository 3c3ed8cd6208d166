"""The sign plane of a database in the order in which a path reads it."""

import numpy as np
import numpy.typing as npt

from ninefold.numerics.signs import sign_plane
from ninefold.spec.data import Database

__all__ = ["signs_of"]

#: Rows of a block of the kernel's sign plane.
_BLOCK_ROWS = 64


def signs_of(database: Database, *, kernel: bool) -> npt.NDArray[np.uint8]:
    """Return the sign plane of a database: as `sign_plane`, or for the kernel in blocks of 64 rows by list.

    A block has byte 0 of all its rows, then byte 1; rows behind the last one are 0.
    """
    packed, dimensions = np.asarray(database.require("nits")), int(database.attributes["dimensions"])
    plane = sign_plane(packed, dimensions)
    if not kernel:
        return plane
    if "order" in database.arrays:
        plane = plane[np.asarray(database.arrays["order"])]
    padded = np.zeros((-(-len(plane) // _BLOCK_ROWS) * _BLOCK_ROWS, plane.shape[1]), np.uint8)
    padded[: len(plane)] = plane
    blocks = padded.reshape(-1, _BLOCK_ROWS, plane.shape[1]).transpose(0, 2, 1)
    # A vector that begins at a multiple of a cache line is loaded at once.
    room = np.empty(blocks.size + _BLOCK_ROWS, np.uint8)
    first = -room.__array_interface__["data"][0] % _BLOCK_ROWS
    aligned = room[first : first + blocks.size].reshape(blocks.shape)
    aligned[:] = blocks
    return aligned
