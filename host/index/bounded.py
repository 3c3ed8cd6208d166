"""Entries that a bounded index gives up, and the uses by which it chooses them.

The newest entries are a nursery, from which none is evicted while there are others. The best hit of a search is
promoted. Those that left the nursery without are evicted first. Promoted ones follow by their score of the operator
``eviction_score``, which falls with each use and grows with the time since the last one. Anchored entries are never
evicted.

Readers write no tables. They append each use to a file, and the writer counts the uses with its next commit. A use that
is lost, or counted twice after a crash, does no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.eviction import eviction_scores
from ninefold.spec.errors import InputError

from .environment import Transaction

__all__ = ["FILES", "NEAR", "NURSERY", "BoundStatus", "Bounds", "send", "taken"]

_log = logging.getLogger(__name__)

#: Newest entries that stay while there are others, if these are at most half of the bound.
NURSERY: Final = 16_384
#: Overlap from which two hits of a search are near duplicates.
NEAR: Final = 0.95
#: File of uses that are not counted yet, and the size from which more are lost until the writer takes it.
_USES: Final = "uses.log"
_TAKEN: Final = "uses.taken"
FILES: Final = frozenset({_USES, _TAKEN})
_MOST_BYTES: Final = 4 << 20
#: Part of the bound that is evicted beyond what must be, so that not every commit reads the rows of all entries.
_SLACK: Final = 256
#: Most that the operator allows for an age.
_OLDEST_S: Final = 1e15

_STATE: Final = b"bound"
_TABLE: Final = "uses"
#: Row of an entry: times of its addition and of its last use (s), number of uses, their mean resonance, other hits of
#: the last search that were near duplicates of it, and 1 if it is anchored.
_ROW: Final = np.dtype(
    [("added", "<f8"), ("last", "<f8"), ("uses", "<u4"), ("resonance", "<f4"), ("density", "<f4"), ("anchored", "u1")]
)
#: Use of an entry in the file: its sequence number, and the time (s), resonance and density.
_USE: Final = np.dtype([("sequence", "<i8"), ("time", "<f8"), ("resonance", "<f4"), ("density", "<f4")])
_Uses = npt.NDArray[np.void]


def send(
    folder: Path, sequence: Sequence[int], resonance: npt.NDArray[np.float32], density: npt.NDArray[np.float32]
) -> None:
    """Tell the writer of an index that searches found some entries, each as the best hit.

    Parameters
    ----------
    folder : Path
        Folder of the index.
    sequence : sequence of int
        Their sequence numbers.
    resonance, density : float32 array of shape (n,)
        Cosine of each with the query, at least 0, and number of other hits that are near duplicates of it.
    """
    uses = np.empty(len(sequence), _USE)
    uses["sequence"], uses["time"], uses["resonance"], uses["density"] = sequence, time.time(), resonance, density
    try:
        # One write to a file that is open for appending stays together, whoever else writes.
        with (folder / _USES).open("ab", buffering=0) as file:
            if file.tell() < _MOST_BYTES:
                file.write(uses.tobytes())
    except OSError as error:
        _log.debug("uses were not counted", extra={"reason": str(error)})


def taken(folder: Path) -> _Uses:
    """Return the uses that readers have sent, and remove them."""
    nothing = np.empty(0, _USE)
    try:
        path = (folder / _USES).replace(folder / _TAKEN)
        content = path.read_bytes()
        path.unlink()
    except OSError:
        return nothing
    uses = np.frombuffer(content[: len(content) // _USE.itemsize * _USE.itemsize], _USE)
    finite = np.isfinite(uses["time"]) & np.isfinite(uses["resonance"]) & np.isfinite(uses["density"])
    return np.asarray(uses[finite])


@dataclass(frozen=True)
class BoundStatus:
    """Bound of an index and the use of its places.

    Attributes
    ----------
    most : int or None
        Number of entries that it may hold; None without a bound.
    nursery, used, anchored : int
        Size of the nursery, number of entries that were found by searches, and of anchored ones.
    """

    most: int | None = None
    nursery: int = 0
    used: int = 0
    anchored: int = 0


class Bounds:
    """Bound of an index in one transaction, with the rows of its entries.

    Parameters
    ----------
    transaction : Transaction
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @property
    def most(self) -> int | None:
        """Number of entries that the index may hold; None without a bound."""
        found = self._transaction.get("state", _STATE)
        return None if found is None else int.from_bytes(found)

    def set(self, most: int | None, sequence: Sequence[bytes]) -> None:
        """Set the bound, or None; without one, uses and anchors are forgotten.

        Parameters
        ----------
        most : int or None
        sequence : sequence of bytes
            Keys of all entries, for an index that had no bound.

        Raises
        ------
        InputError
            The bound is not positive, or not above the number of anchored entries.
        """
        if most is None:
            self._transaction.delete("state", _STATE)
            self._transaction.clear(_TABLE)
            return
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
            raise InputError(f"max_entries must be an integer of at least 1, not {most!r}")
        if self.most is None:
            self.put(sequence, [None] * len(sequence))
        _check_anchored(int(most), self._anchored)
        self._transaction.put("state", _STATE, int(most).to_bytes(8))

    # Rows of entries.

    def put(self, numbers: Sequence[bytes], rows: Sequence[bytes | None]) -> None:
        """Write the rows of entries; None for an entry that is new."""
        new = np.zeros((), _ROW)
        new["added"] = new["last"] = time.time()
        fresh = new.tobytes()
        self._transaction.put_all(_TABLE, [(n, row or fresh) for n, row in zip(numbers, rows, strict=True)])

    def pop(self, number: bytes) -> bytes | None:
        """Remove the row of an entry, and return it; None without a bound."""
        row = self._transaction.get(_TABLE, number)
        if row is not None:
            self._transaction.delete(_TABLE, number)
        return row

    def row(self, number: bytes) -> Any:
        """Return the row of an entry, which may be changed and given to `put`; None if it has none."""
        found = self._transaction.get(_TABLE, number)
        return None if found is None else np.frombuffer(found, _ROW).copy()[0]

    def rows(self) -> tuple[npt.NDArray[np.int64], _Uses]:
        """Return the sequence numbers of all entries, int64 of shape (n,), ascending, and their rows."""
        items = list(self._transaction.items(_TABLE))
        numbers = np.frombuffer(b"".join(number for number, _ in items), ">i8").astype(np.int64)
        return numbers, np.frombuffer(b"".join(row for _, row in items), _ROW)

    # Uses and anchors.

    def count(self, uses: _Uses) -> None:
        """Count uses of entries; entries that are gone are ignored."""
        if self.most is None or not len(uses):
            return
        now = time.time()
        uses = uses[np.argsort(uses["sequence"], kind="stable")]
        numbers, starts = np.unique(uses["sequence"], return_index=True)
        for number, some in zip(numbers.tolist(), np.split(uses, starts[1:]), strict=True):
            if number < 0 or (row := self.row(key := number.to_bytes(8))) is None:
                continue
            before, added = int(row["uses"]), len(some)
            resonance = float(row["resonance"]) * before + float(np.clip(some["resonance"], 0, 1).sum())
            row["uses"], row["resonance"] = before + added, min(1.0, resonance / (before + added))
            row["last"] = max(row["last"], min(now, float(some["time"].max())))
            row["density"] = np.clip(some["density"][-1], 0, 100)
            self.put([key], [row.tobytes()])

    def add_uses(self, old: bytes, new: bytes) -> None:
        """Add the uses of an entry to another, into which it is merged."""
        one, other = self.row(old), self.row(new)
        if one is None or other is None:
            return
        uses = int(one["uses"]) + int(other["uses"])
        if uses:
            sums = (float(row["uses"]) * float(row["resonance"]) for row in (one, other))
            other["uses"], other["resonance"] = uses, min(1.0, sum(sums) / uses)
        other["added"], other["last"] = min(one["added"], other["added"]), max(one["last"], other["last"])
        self.put([new], [other.tobytes()])

    def status(self) -> BoundStatus:
        """Return the bound and the use of its places."""
        if (most := self.most) is None:
            return BoundStatus()
        rows = self.rows()[1]
        used, anchored = (int(np.count_nonzero(rows[name])) for name in ("uses", "anchored"))
        return BoundStatus(most, _nursery(most), used, anchored)

    def anchor(self, numbers: Sequence[bytes], anchored: bool) -> int:
        """Anchor entries, or release them; return how many were changed.

        Raises
        ------
        InputError
            The index has no bound, or no place would be left for other entries.
        """
        if (most := self.most) is None:
            raise InputError("entries are anchored in an index with a bound only: set one with --max-entries")
        changed = 0
        for number in numbers:
            row = self.row(number)
            if row is not None and bool(row["anchored"]) != anchored:
                row["anchored"] = anchored
                self.put([number], [row.tobytes()])
                changed += 1
        if anchored and changed:
            _check_anchored(most, self._anchored)
        return changed

    @property
    def _anchored(self) -> int:
        return int(np.count_nonzero(self.rows()[1]["anchored"]))

    def evicted(self, entries: int) -> list[int]:
        """Return the sequence numbers of the entries to evict, of an index with this number of entries."""
        most = self.most
        if most is None or entries <= most:
            return []
        numbers, rows = self.rows()
        outside = np.arange(len(rows)) < len(rows) - _nursery(most)
        free = rows["anchored"] == 0
        count = min(entries - most + most // _SLACK, int(np.count_nonzero(outside & free)))
        # The nursery is touched only if all others are anchored or gone: by one write of many entries, for example.
        count = max(count, entries - most)
        order = np.lexsort((numbers, -_scores(rows), rows["uses"] > 0, ~outside, ~free))
        return numbers[order[:count]].tolist()  # type: ignore[no-any-return]


def _nursery(most: int) -> int:
    return min(NURSERY, most // 2)


def _check_anchored(most: int, anchored: int) -> None:
    if anchored >= most:
        said = f"of {most:,} entries at most {most - 1:,} may be anchored, as new ones need a place"
        raise InputError(f"{said}, not {anchored:,}")


def _scores(rows: _Uses) -> npt.NDArray[np.float64]:
    """Return the eviction scores of entries now."""
    now = time.time()
    age = np.clip(now - rows["last"], 0, _OLDEST_S)
    life = np.clip(now - rows["added"], 0, _OLDEST_S)
    # Part of its life after which an entry was still used.
    stability = np.clip(1 - np.divide(age, life, out=np.ones_like(age), where=life > 0), 0, 1)
    return eviction_scores(age, rows["resonance"], rows["uses"], stability, rows["density"], rows["anchored"])
