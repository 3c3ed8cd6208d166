"""The sign planes of databases in the order in which a path reads them."""

import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.numerics.signs import sign_plane
from ninefold.spec.data import Database

__all__ = ["KernelPlanes", "planes_of", "signs_of"]

#: Rows of a block of the kernel's sign plane.
_BLOCK_ROWS = 64
#: Planes in use, by the digest of their database, of which several loaded databases may consist.
_PLANES: weakref.WeakValueDictionary[str, npt.NDArray[np.uint8]] = weakref.WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class KernelPlanes:
    """Sign planes of a database's parts for the kernel.

    Attributes
    ----------
    table : int64 array of shape (parts, 5)
        For each part: address of its plane, number of rows, number of the first row, and addresses of ``order`` and
        ``starts``, or 0.
    arrays : tuple of array
        Arrays at the addresses.
    """

    table: npt.NDArray[np.int64]
    arrays: tuple[npt.NDArray[np.generic], ...]


def planes_of(database: Database) -> KernelPlanes:
    """Return the sign planes of a database, or of those that it joins; a plane of another loaded database is shared."""
    table, arrays, first = [], [], 0
    for part in database.parts:
        plane = _PLANES.get(part.digest)
        if plane is None:
            plane = _PLANES[part.digest] = signs_of(part)
        lists = [np.ascontiguousarray(part.arrays[name]) for name in ("order", "starts") if name in part.arrays]
        rows = int(part.attributes["rows"])
        table.append([_address(plane), rows, first, *(map(_address, lists) if len(lists) == 2 else (0, 0))])
        arrays += [plane, *lists]
        first += rows
    return KernelPlanes(np.array(table, np.int64), tuple(arrays))


def _address(array: npt.NDArray[np.generic]) -> int:
    return int(array.__array_interface__["data"][0])


def signs_of(database: Database) -> npt.NDArray[np.uint8]:
    """Return the sign plane of a database for the kernel, in blocks of 64 rows by list.

    A block has byte 0 of all its rows, then byte 1; rows behind the last one are 0.
    """
    plane = sign_plane(np.asarray(database.require("nits")), int(database.attributes["dimensions"]))
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
