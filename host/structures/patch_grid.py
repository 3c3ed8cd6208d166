"""Points in the order of the Hilbert curve, in patches, with inserts and consistent snapshots at the same time."""

from __future__ import annotations

import threading
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.numerics.hilbert import decoded
from ninefold.numerics.states import load_state, save_state
from ninefold.spec.data import State
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.options import integer
from ninefold.spec.waves import INDEX_BITS

from .curve import index_of, indices_of

__all__ = ["PATCH", "GridSnapshot", "PatchGrid"]

#: Maximum number of points in a patch, 3**9.
PATCH: Final = 3**9
#: Points in each patch of a batch, so that the next inserts find room.
_FILL: Final = PATCH * 2 // 3
_KIND: Final = "PatchGrid"
_INT64: Final = np.iinfo(np.int64)

_Index = npt.NDArray[np.uint64]
_Values = npt.NDArray[np.int64]


class _Patch:
    """Points of an interval of the curve: indices in ascending order, and the value of each.

    Attributes
    ----------
    index, values : array.array
        Of types ``Q`` and ``q``: one call of C inserts into the middle, and `bisect` searches it in C.
    epoch : int
        Number of snapshots of the grid when the patch was last found to be shared with none. If a later one is in use,
        the patch is copied before it changes.
    """

    __slots__ = ("epoch", "index", "values")

    def __init__(self, index: array[int], values: array[int], epoch: int) -> None:
        self.index, self.values, self.epoch = index, values, epoch

    def copy(self, epoch: int) -> _Patch:
        """Return a patch of the same points that no snapshot shares."""
        return _Patch(self.index[:], self.values[:], epoch)

    def arrays(self) -> tuple[_Index, _Values]:
        """Return read-only views; while they exist, the patch cannot change its size."""
        views = np.frombuffer(self.index, np.uint64), np.frombuffer(self.values, np.int64)
        for view in views:
            view.flags.writeable = False
        return views


#: First index of each patch in ascending order, never changed; and the patches.
_Directory = tuple[list[int], list[_Patch]]


class GridSnapshot:
    """Points of a `PatchGrid` at one moment. Inserts after it change nothing in it.

    Iteration yields the arrays of each patch, ``(index, values)``, in the order of the curve. All arrays are read-only.

    Attributes
    ----------
    dimensions, bits : int
        Coordinates of a point, and bits of each.
    patches : int
        Number of patches.
    epoch : int
        Number of the snapshot, counted from 1 in its grid.
    """

    def __init__(self, dimensions: int, bits: int, directory: _Directory, epoch: int) -> None:
        self._firsts, self._patches = directory[0], tuple(directory[1])
        self.dimensions, self.bits, self.patches = dimensions, bits, len(self._patches)
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of points."""
        return sum(len(patch.index) for patch in self._patches)

    def __iter__(self) -> Iterator[tuple[_Index, _Values]]:
        # As a generator function, which keeps the snapshot: its patches change once it is gone.
        for patch in self._patches:
            yield patch.arrays()

    @cached_property
    def index(self) -> _Index:
        """Hilbert index of each point, uint64 (N,), ascending."""
        return np.concatenate([index for index, _ in self])

    @cached_property
    def values(self) -> _Values:
        """Value of each point, int64 (N,), in the order of `index`; of equal points in the order of their inserts."""
        return np.concatenate([values for _, values in self])

    def points(self) -> npt.NDArray[np.uint64]:
        """Return the points, uint64 (N, D), in the order of `index`."""
        return decoded(self.index, self.dimensions, self.bits)

    def at(self, point: Sequence[int]) -> _Values:
        """Return the values of all inserts of a point, int64, in their order; empty if there is none.

        Raises
        ------
        InputError
            The point is not one of the grid's.
        """
        index = _index(point, self.dimensions, self.bits)
        return self.between(index, index)[1]

    def between(self, first: int, last: int) -> tuple[_Index, _Values]:
        """Return indices and values of the points from index `first` to index `last`, both included.

        Raises
        ------
        InputError
            An end is not an index of the curve, or they are in the wrong order.
        """
        first, last = integer("first", first), integer("last", last)
        top = (1 << self.dimensions * self.bits) - 1
        if not 0 <= first <= last <= top:
            raise InputError(f"first and last must be 0 to {top} in ascending order, not {first} and {last}")
        # Points of one index may begin in the patch before the first one that begins with it.
        begin = max(0, bisect_left(self._firsts, first) - 1)
        index, values = [], []
        for patch in self._patches[begin : bisect_right(self._firsts, last)]:
            part = slice(bisect_left(patch.index, first), bisect_right(patch.index, last))
            some, its = patch.arrays()
            index.append(some[part])
            values.append(its[part])
        return np.concatenate(index), np.concatenate(values)


class PatchGrid:
    """Points sorted by Hilbert index, each with a value, in patches of at most 19,683 points.

    An insert finds the patch by bisection and moves part of that patch: O(log patches + patch), whatever the number of
    points. A full patch is divided in two, which also copies the list of patches. Equal points are kept, in the order
    of their inserts.

    All methods may be called from several threads. Writers take turns. A reader works on a `snapshot`, which costs a
    copy of the list of patches; while a snapshot is in use, the first insert into each of its patches copies the patch.
    So a reader never waits for longer than one insert or batch, and never sees part of a batch. An interrupt (Ctrl-C)
    during an insert leaves the point in the grid or not, and nothing else changed.

    Parameters
    ----------
    dimensions : int
        Coordinates of a point.
    bits : int
        Bits of a coordinate; ``dimensions * bits`` is 1 to 64.

    Raises
    ------
    InputError
        The product is out of range.

    Examples
    --------
    >>> grid = PatchGrid(dimensions=3, bits=21)
    >>> grid.insert((5, 0, 7), 1)
    >>> with_one = grid.snapshot()
    >>> grid.insert((5, 0, 7), 2)
    >>> with_one.at((5, 0, 7)).tolist(), grid.snapshot().at((5, 0, 7)).tolist()
    ([1], [1, 2])
    """

    def __init__(self, dimensions: int, bits: int) -> None:
        dimensions, bits = integer("dimensions", dimensions), integer("bits", bits)
        if dimensions < 1 or bits < 1 or dimensions * bits > INDEX_BITS:
            raise InputError(
                f"dimensions and bits must be at least 1, and their product at most {INDEX_BITS}, "
                f"not {dimensions} and {bits}"
            )
        self.dimensions, self.bits = dimensions, bits
        self._lock = threading.Lock()
        self._epoch = 0
        self._snapshots: weakref.WeakSet[GridSnapshot] = weakref.WeakSet()
        self._directory: _Directory = ([0], [_Patch(array("Q"), array("q"), 0)])
        #: Patch and place of an insert that has not ended.
        self._unfinished: tuple[_Patch, int] | None = None

    def __len__(self) -> int:
        """Return the number of points."""
        with self._lock:
            self._settle()
            return sum(len(patch.index) for patch in self._directory[1])

    @property
    def patches(self) -> int:
        """Number of patches."""
        return len(self._directory[1])

    def insert(self, point: Sequence[int], value: int) -> None:
        """Insert a point after the points that equal it.

        Parameters
        ----------
        point : sequence of int
            Coordinates from 0 to ``2**bits - 1``.
        value : int
            Number of 64 bits, signed, such as a row or an id.

        Raises
        ------
        InputError
            A number is out of range.
        """
        index = _index(point, self.dimensions, self.bits)
        if not isinstance(value, int | np.integer) or not _INT64.min <= value <= _INT64.max:
            raise InputError(f"value must be an integer from {_INT64.min} to {_INT64.max}, not {value!r}")
        with self._lock:
            self._settle()
            patches, at = self._writable(index)
            try:
                self._put(patches[at], index, int(value))
            except BufferError:
                # A reader has dropped its snapshot, and has kept views of this patch, which pin its size.
                self._settle()
                patches[at] = patches[at].copy(self._epoch)
                self._put(patches[at], index, int(value))

    def extend(self, points: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Insert many points at once: a snapshot has all of them or none.

        Each patch that receives points is rebuilt, so this is faster than single inserts from a few points a patch on.

        Parameters
        ----------
        points : uint64, uint32 or int64 array of shape (N, D)
            Coordinates from 0 to ``2**bits - 1``.
        values : integer array of shape (N,)
            Value of each point, which int64 holds.

        Raises
        ------
        InputError
            Type, shape or a number is out of range; nothing is inserted.
        """
        points, values = np.asarray(points), np.asarray(values)
        if points.ndim != 2 or points.shape[1] != self.dimensions:
            raise InputError(f"points must have shape (N, {self.dimensions}), not {points.shape}")
        if values.shape != (len(points),) or values.dtype.kind not in "iu":
            raise InputError(
                f"values must be integers of shape ({len(points)},), not {values.dtype} of shape {values.shape}"
            )
        if values.dtype == np.uint64 and len(values) and (most := int(values.max())) > _INT64.max:
            raise InputError(f"values must be at most {_INT64.max}, not {most}")
        if len(points):
            index = indices_of(points, self.bits)
            order = np.argsort(index, kind="stable")
            self._merge(index[order], values.astype(np.int64)[order])

    def snapshot(self) -> GridSnapshot:
        """Return the points of this moment; it can be read while others insert."""
        with self._lock:
            self._settle()
            self._epoch += 1
            made = GridSnapshot(self.dimensions, self.bits, self._directory, self._epoch)
            self._snapshots.add(made)
            return made

    def save(self, path: Path | str) -> None:
        """Write a snapshot to a file, which ``numpy.load`` can read. An existing file is replaced when all is written.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        now = self.snapshot()
        attributes = {"dimensions": self.dimensions, "bits": self.bits}
        save_state(State(_KIND, 0, {"index": now.index, "values": now.values}, attributes), path)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a grid from a file that `save` wrote.

        Raises
        ------
        DamagedDataError
            The file is damaged, or holds something else.
        OSError
            The file cannot be read.
        """
        state = load_state(path)
        if state.id != _KIND:
            raise DamagedDataError(f"{path} holds {state.id!r}, not a {_KIND}")
        for name, dtype in (("index", np.uint64), ("values", np.int64)):
            found = state.arrays.get(name)
            if not isinstance(found, np.ndarray) or found.dtype != dtype or found.ndim != 1:
                raise DamagedDataError(f"{path} is damaged: {name} is not {np.dtype(dtype)} of shape (N,)")
        index, values = state.arrays["index"], state.arrays["values"]
        try:
            grid = cls(*(int(state.attributes[name]) for name in ("dimensions", "bits")))
        except (KeyError, InputError, TypeError, ValueError) as error:
            raise DamagedDataError(f"{path} is damaged: {error}") from error
        if index.shape != values.shape:
            raise DamagedDataError(f"{path} is damaged: it has {len(index)} indices and {len(values)} values")
        if (falls := np.flatnonzero(index[1:] < index[:-1])).size:
            raise DamagedDataError(f"{path} is damaged: index[{falls[0] + 1}] is below the one before")
        if len(index) and int(index[-1]) >> grid.dimensions * grid.bits:
            raise DamagedDataError(f"{path} is damaged: {index[-1]} is no index of {grid.bits} bits a coordinate")
        if len(index):
            grid._merge(index, values)
        return grid

    def _settle(self) -> None:
        """Take back an insert that an exception, such as KeyboardInterrupt, cut off between its two arrays."""
        if self._unfinished is not None:
            patch, where = self._unfinished
            if len(patch.index) > len(patch.values):
                del patch.index[where]
            self._unfinished = None

    def _put(self, patch: _Patch, index: int, value: int) -> None:
        where = bisect_right(patch.index, index)
        self._unfinished = patch, where
        patch.index.insert(where, index)
        patch.values.insert(where, value)
        self._unfinished = None

    def _writable(self, index: int) -> tuple[list[_Patch], int]:
        """Return the list of patches, and in it the place of the one for an index: it has room, and none shares it."""
        firsts, patches = self._directory
        at = bisect_right(firsts, index) - 1
        patch = patches[at]
        if len(patch.index) >= PATCH:
            half = len(patch.index) // 2
            first = patch.index[half]
            low, high = (
                _Patch(patch.index[part], patch.values[part], self._epoch) for part in (slice(half), slice(half, None))
            )
            # One assignment, so that an interrupt leaves the old directory or the new one.
            self._directory = (
                [*firsts[: at + 1], first, *firsts[at + 1 :]],
                [*patches[:at], low, high, *patches[at + 1 :]],
            )
            return self._directory[1], at + (index >= first)
        if patch.epoch != self._epoch:
            if patch.epoch < max((snapshot.epoch for snapshot in self._snapshots), default=0):
                patches[at] = patch.copy(self._epoch)
            else:
                patch.epoch = self._epoch
        return patches, at

    def _merge(self, index: _Index, values: _Values) -> None:
        """Insert points in ascending order of their indices, each after its equals."""
        with self._lock:
            self._settle()
            firsts, patches = self._directory
            homes = np.searchsorted(np.array(firsts, np.uint64), index, side="right") - 1
            receiving, starts = np.unique(homes, return_index=True)
            new_firsts, new_patches, done = [], [], 0
            for at, part in zip(receiving.tolist(), np.split(np.arange(len(index)), starts[1:]), strict=True):
                new_firsts += firsts[done:at]
                new_patches += patches[done:at]
                done = at + 1
                old_index, old_values = patches[at].arrays()
                some = slice(int(part[0]), int(part[-1]) + 1)
                where = np.searchsorted(old_index, index[some], side="right")
                pieces = _pieces(np.insert(old_index, where, index[some]), np.insert(old_values, where, values[some]))
                made = [_Patch(*piece, self._epoch) for piece in pieces]
                new_firsts += [firsts[at], *(patch.index[0] for patch in made[1:])]
                new_patches += made
            self._directory = ([*new_firsts, *firsts[done:]], [*new_patches, *patches[done:]])


def _pieces(index: _Index, values: _Values) -> list[tuple[array[int], array[int]]]:
    """Return points as the arrays of one patch, or of several if they are too many for one."""
    number = 1 if len(index) <= PATCH else -(-len(index) // _FILL)
    ends = [len(index) * i // number for i in range(number + 1)]
    made = []
    for begin, end in pairwise(ends):
        pair = array("Q"), array("q")
        pair[0].frombytes(index[begin:end].tobytes())
        pair[1].frombytes(values[begin:end].tobytes())
        made.append(pair)
    return made


def _index(point: Sequence[int], dimensions: int, bits: int) -> int:
    if len(point) != dimensions:
        raise InputError(f"a point must have {dimensions} coordinates, not {len(point)}")
    return index_of(point, bits)
