"""The sign planes of databases in the order in which a path reads them."""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.signs import sign_plane
from ninefold.spec.data import Database

__all__ = ["JOINED_AFTER", "KernelPlanes", "planes_of", "signs_of"]

#: Rows of a block of the kernel's sign plane.
_BLOCK_ROWS = 64
#: Queries to the lists of several databases after which their planes are joined. Joining takes as long as some hundred
#: searches, so databases that change more often are not joined.
JOINED_AFTER: Final = 512
_guard = threading.Lock()
#: Planes in use, by the digest of their database, of which several loaded databases may consist.
_PLANES: weakref.WeakValueDictionary[str, npt.NDArray[np.uint8]] = weakref.WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class _Plane:
    """Sign plane of some rows.

    Attributes
    ----------
    signs : uint8 array of shape (blocks, ceil(D / 8), 64)
    lists : tuple of int64 array
        ``order`` and ``starts`` of the lists in which the rows are, or nothing.
    rows, first : int
        Number of rows, and number of the first one.
    """

    signs: npt.NDArray[np.uint8]
    lists: tuple[npt.NDArray[np.int64], ...]
    rows: int
    first: int


@dataclass(eq=False)
class _Group:
    """Databases with the same centroids, whose lists are searched together.

    Attributes
    ----------
    queries : int
        Number of queries to their lists.
    joined : _Plane or None
        Plane of the rows of all of them by list, once they are joined.
    """

    queries: int = 0
    joined: _Plane | None = None


#: Groups in use, by the digests of their databases.
_GROUPS: weakref.WeakValueDictionary[tuple[str, ...], _Group] = weakref.WeakValueDictionary()


@dataclass(eq=False)
class KernelPlanes:
    """Sign planes of a database's parts for the kernel.

    Each part has its own plane. The kernel scores blocks of 64 rows, so it scores more rows
    for the lists of many small planes than of a large one. Once the lists of parts have been searched `JOINED_AFTER`
    times, the parts are joined in one plane, which takes the memory of the signs once more.

    Parameters
    ----------
    parts : sequence of _Plane
        Planes of the parts.
    group : _Group or None
        Group of the first parts with lists; None if fewer than two have any.
    grouped : int
        Number of these parts.
    """

    parts: Sequence[_Plane]
    group: _Group | None
    grouped: int
    _of: tuple[_Plane | None, npt.NDArray[np.int64], tuple[Any, ...]] | None = field(default=None, init=False)

    def table(self, queries: int = 0) -> tuple[npt.NDArray[np.int64], tuple[Any, ...]]:
        """Return the planes to search.

        Parameters
        ----------
        queries : int
            Number of queries to lists; 0 for queries to all rows.

        Returns
        -------
        int64 array of shape (planes, 5)
            For each plane: its address, number of rows, number of the first row, and addresses of ``order`` and
            ``starts``, or 0.
        tuple
            Owners of the memory at the addresses; keep them while the kernel runs.
        """
        with _guard:
            joined = None if self.group is None else self._joined(self.group, queries)
            if self._of is None or self._of[0] is not joined:
                planes = self.parts if joined is None else (joined, *self.parts[self.grouped :])
                self._of = joined, _table(planes), tuple(planes)
            return self._of[1:]

    def _joined(self, group: _Group, queries: int) -> _Plane | None:
        """Return the joined plane of the group, or None while it has been searched too little."""
        group.queries += queries
        if group.joined is None and group.queries >= JOINED_AFTER:
            group.joined = _join(self.parts[: self.grouped])
        return group.joined


def planes_of(database: Database) -> KernelPlanes:
    """Return the sign planes of a database, or of those that it joins; a plane of another loaded database is shared."""
    parts, first = [], 0
    for part in database.parts:
        signs = _PLANES.get(part.digest)
        if signs is None:
            signs = _PLANES[part.digest] = signs_of(part)
        rows = int(part.attributes["rows"])
        parts.append(_Plane(signs, _lists(part), rows, first))
        first += rows
    grouped = next((at for at, part in enumerate(parts) if not part.lists), len(parts))
    if grouped < 2:
        return KernelPlanes(parts, None, 0)
    with _guard:
        digests = tuple(part.digest for part in database.parts[:grouped])
        group = _GROUPS.get(digests)
        if group is None:
            group = _GROUPS[digests] = _Group()
    return KernelPlanes(parts, group, grouped)


def _lists(database: Database) -> tuple[npt.NDArray[np.int64], ...]:
    if not {"order", "starts"} <= database.arrays.keys():
        return ()
    return tuple(np.ascontiguousarray(database.arrays[name]) for name in ("order", "starts"))


def _table(planes: Sequence[_Plane]) -> npt.NDArray[np.int64]:
    lines = []
    for plane in planes:
        lists = map(_address, plane.lists) if plane.lists else (0, 0)
        lines.append([_address(plane.signs), plane.rows, plane.first, *lists])
    return np.array(lines, np.int64)


def _join(planes: Sequence[_Plane]) -> _Plane:
    """Return the plane of the rows of several by list, and in a list by their numbers."""
    counts = np.stack([np.diff(plane.lists[1]) for plane in planes])
    starts = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    rows = sum(plane.rows for plane in planes)
    order = np.empty(rows, np.int64)
    signs = np.empty((rows, planes[0].signs.shape[1]), np.uint8)
    begins = starts[:-1] + np.cumsum(counts, axis=0) - counts  # of each list, the positions of each plane
    for plane, begin, count in zip(planes, begins, counts, strict=True):
        positions = np.arange(plane.rows) + np.repeat(begin - plane.lists[1][:-1], count)
        order[positions] = plane.lists[0] + plane.first
        signs[positions] = plane.signs.transpose(0, 2, 1).reshape(-1, signs.shape[1])[: plane.rows]
    return _Plane(_in_blocks(signs), (order, starts), rows, planes[0].first)


def _address(array: npt.NDArray[np.generic]) -> int:
    return int(array.__array_interface__["data"][0])


def signs_of(database: Database) -> npt.NDArray[np.uint8]:
    """Return the sign plane of a database for the kernel, in blocks of 64 rows by list.

    A block has byte 0 of all its rows, then byte 1; rows behind the last one are 0.
    """
    plane = sign_plane(np.asarray(database.require("nits")), int(database.attributes["dimensions"]))
    if "order" in database.arrays:
        plane = plane[np.asarray(database.arrays["order"])]
    return _in_blocks(plane)


def _in_blocks(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a sign plane (rows, bytes) in blocks of 64 rows, at a multiple of a cache line."""
    padded = np.zeros((-(-len(plane) // _BLOCK_ROWS) * _BLOCK_ROWS, plane.shape[1]), np.uint8)
    padded[: len(plane)] = plane
    blocks = padded.reshape(-1, _BLOCK_ROWS, plane.shape[1]).transpose(0, 2, 1)
    # A vector that begins at a multiple of a cache line is loaded at once.
    room = np.empty(blocks.size + _BLOCK_ROWS, np.uint8)
    first = -room.__array_interface__["data"][0] % _BLOCK_ROWS
    aligned = room[first : first + blocks.size].reshape(blocks.shape)
    aligned[:] = blocks
    return aligned
