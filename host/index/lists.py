"""Rows of an index by list, as they are kept in tiers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import unpack
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError, InputError

from .merging import Centroids, lists_of, nearest_lists
from .parts import Part, Parts
from .read import Snapshot

__all__ = ["ListRows", "all_lists", "centroid_directions", "centroids_of", "newer_lists", "probed"]

_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ListRows:
    """Some rows of an index.

    Attributes
    ----------
    sequence : int64 array (n,)
        Sequence numbers, ascending.
    nits : uint8 array (n, ceil(D / 2))
        Packed.
    vectors : float16 array (n, D)
    """

    sequence: _Ids
    nits: npt.NDArray[np.uint8]
    vectors: npt.NDArray[np.float16]

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], path: object) -> Self:
        """Return the rows of a list's file; `DamagedDataError` if it has other arrays."""
        if list(arrays) != ["sequence", "nits", "vectors"]:
            raise DamagedDataError(f"{path} has the arrays {', '.join(arrays)}, not sequence, nits, vectors")
        return cls(*arrays.values())

    @classmethod
    def joined(cls, parts: Sequence[ListRows]) -> Self:
        """Return the rows of several lists, ascending by sequence number; at least one list."""
        order = np.argsort(np.concatenate([one.sequence for one in parts]))
        return cls(*(np.concatenate([one.arrays[name] for one in parts])[order] for name in parts[0].arrays))

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name, as a file keeps them."""
        return {"sequence": self.sequence, "nits": self.nits, "vectors": self.vectors}

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.sequence)

    def only(self, rows: npt.NDArray[Any]) -> ListRows:
        """Return some rows, by a mask or by numbers."""
        return ListRows(*(array[rows] for array in self.arrays.values()))

    def upto(self, last: int) -> ListRows:
        """Return the rows up to a sequence number."""
        end = int(np.searchsorted(self.sequence, last, side="right"))
        return self if end == len(self) else self.only(np.arange(end))

    def database(self, attributes: Mapping[str, int | float | str]) -> Database:
        """Return the rows as a database of ``mine``."""
        return Database({"nits": self.nits, "vectors": self.vectors}, {**attributes, "rows": len(self)})


def centroids_of(snapshot: Snapshot) -> tuple[Centroids, str]:
    """Return the packed centroids of an index, and their SHA-256.

    Raises
    ------
    InputError
        The index has no clusters, or no float vectors.
    """
    snapshot.require_vectors()
    for part in snapshot.parts.parts:
        if "micro" in part.database.arrays:
            macro, micro = (np.asarray(part.database.arrays[name]) for name in ("macro", "micro"))
            return (macro, micro), hashlib.sha256(macro.tobytes() + micro.tobytes()).hexdigest()
    raise InputError(
        f"{snapshot.called} has no clusters, whose lists tiers hold: an index gets them from 49,152 entries on, when it"
        " is built or by `ninefold index recalibrate`"
    )


def centroid_directions(centroids: Centroids, dimensions: int) -> npt.NDArray[np.float32]:
    """Return the centroids of the lists as floats, float32 (lists, D)."""
    return unpack(centroids[1], dimensions).astype(np.float32)


def probed(centroids: Centroids, attributes: Mapping[str, int | float | str]) -> Database:
    """Return a database without rows, whose lists ``probe`` finds."""
    width, lists = centroids[0].shape[1], len(centroids[1])
    arrays = {"nits": np.zeros((0, width), np.uint8), "order": np.zeros(0, np.int64)}
    arrays |= {"starts": np.zeros(lists + 1, np.int64), "macro": centroids[0], "micro": centroids[1]}
    return Database(arrays, {**attributes, "rows": 0})


def all_lists(parts: Parts, centroids: Centroids) -> Iterator[tuple[int, ListRows]]:
    """Yield the number and the live rows of each list that has any."""
    numbers = np.concatenate([_lists(part, centroids) for part in parts.parts])
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(centroids[1]) + 1))
    for number in np.flatnonzero(np.diff(starts)).tolist():
        yield number, _rows(parts, order[starts[number] : starts[number + 1]])


def newer_lists(parts: Parts, upto: int, centroids: Centroids) -> tuple[ListRows, _Ids]:
    """Return the live rows after a sequence number, and the list of each."""
    rows = _rows(parts, np.arange(int(np.searchsorted(parts.sequence, upto, side="right")), len(parts)))
    return rows, nearest_lists(rows.vectors, centroids)


def _lists(part: Part, centroids: Centroids) -> _Ids:
    """Return the list of each live row of a part."""
    if "order" in part.database.arrays:
        found = lists_of(part.database)
        return found if part.live is None else found[part.live]
    vectors = np.asarray(part.database.arrays["vectors"])
    return nearest_lists(vectors if part.live is None else vectors[part.live], centroids)


def _rows(parts: Parts, rows: _Ids) -> ListRows:
    return ListRows(
        parts.sequence[rows],
        np.ascontiguousarray(parts.rows("nits", rows)),
        np.ascontiguousarray(parts.rows("vectors", rows), np.float16),
    )
