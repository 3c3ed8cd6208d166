"""Signatures of nine complex numbers in buckets of their phase hash, searched for the best resonance."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.numerics.phases import phase_hash
from ninefold.numerics.resonance import cosines
from ninefold.numerics.states import load_state, save_state
from ninefold.spec.data import State
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.waves import PHASES

__all__ = ["BUCKET", "RESONANCE", "PhaseIndex", "PhaseMatches", "PhaseSnapshot"]

#: Maximum number of signatures in a bucket.
BUCKET: Final = 16
#: Resonance that a match exceeds, unless another is asked for.
RESONANCE: Final = 0.8
_KIND: Final = "PhaseIndex"
#: Free place in a bucket: larger than every row.
_FREE: Final = np.iinfo(np.int32).max

_Signatures = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class PhaseMatches:
    """Matches of Q queries.

    Attributes
    ----------
    ids : int64 array of shape (Q, k)
        Ids of the matches, the largest resonance first, and of equal ones the first that was added; -1 from `count` on.
    resonance : float64 array of shape (Q, k)
        Resonance of each; 0 from `count` on.
    count : int64 array of shape (Q,)
        Number of matches, at most k.
    probes, candidates : int64 arrays of shape (Q,)
        Different buckets that were looked up, and signatures that were compared.
    """

    ids: npt.NDArray[np.int64]
    resonance: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    probes: npt.NDArray[np.int64]
    candidates: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Tables:
    """Arrays of an index; rows and buckets are only ever appended.

    Attributes
    ----------
    numbers : int32 array of shape (4**9,)
        Bucket of each hash, -1 if there is none.
    buckets : int32 array of shape (B, 16)
        Rows of each bucket in ascending order, then `_FREE`.
    psi : complex64 array of shape (N, 9)
    ids : int64 array of shape (N,)
    """

    numbers: npt.NDArray[np.int32]
    buckets: npt.NDArray[np.int32]
    psi: _Signatures
    ids: npt.NDArray[np.int64]


class PhaseSnapshot:
    """Signatures of a `PhaseIndex` at one moment. What is added later is not found in it."""

    def __init__(self, tables: _Tables, rows: int) -> None:
        self._tables, self._rows = tables, rows

    def __len__(self) -> int:
        """Return the number of signatures."""
        return self._rows

    @property
    def psi(self) -> _Signatures:
        """Signatures, complex64 (N, 9), in the order in which they were added; read-only."""
        return _read_only(self._tables.psi[: self._rows])

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """Id of each signature, int64 (N,); read-only."""
        return _read_only(self._tables.ids[: self._rows])

    def search(
        self,
        psi: npt.NDArray[np.complex64],
        k: int = 1,
        *,
        least: float = RESONANCE,
        delta: float = 0.0,
        turns: bool = False,
    ) -> PhaseMatches:
        """Return the best matches in the probed buckets; others may exist in buckets that are not probed.

        Parameters
        ----------
        psi : complex64 array of shape (9,) or (Q, 9)
            Queries; finite.
        k : int
            Maximum number of matches of a query, at least 1.
        least : float
            Resonance that a match exceeds, 0 to 1. A signature of zeros has resonance 0.
        delta : float
            Angle in radians, 0 to pi/4. With d numbers whose phases are at most so far from the border of a quadrant,
            the buckets of all 2**d combinations of sides are probed; 0 probes one bucket.
        turns : bool
            Probe also for the query turned by any common phase, which resonance ignores and the hash does not: 36 times
            the buckets.

        Returns
        -------
        PhaseMatches

        Raises
        ------
        InputError
            An argument is out of range.
        """
        queries = _checked(np.atleast_2d(np.asarray(psi)), "psi")
        if not 0 <= delta <= np.pi / 4:
            raise InputError(f"delta must be 0 to pi/4 = {np.pi / 4:.4f} radians, not {delta}")
        if k < 1:
            raise InputError(f"k must be at least 1, not {k}")
        if not 0 <= least <= 1:
            raise InputError(f"least must be 0 to 1, not {least}")
        number = len(queries)
        ids, resonance = np.full((number, k), -1, np.int64), np.zeros((number, k))
        count, probes, candidates = (np.zeros(number, np.int64) for _ in range(3))
        for q, query in enumerate(queries):
            hashes = _probes(_turned(query) if turns else query[np.newaxis], delta)
            rows = self._candidates(hashes)
            found = cosines(query[np.newaxis], self._tables.psi[rows])[0]
            above = np.flatnonzero(found > least)
            best = above[np.lexsort((rows[above], -found[above]))[:k]]
            probes[q], candidates[q], count[q] = len(hashes), len(rows), len(best)
            ids[q, : len(best)], resonance[q, : len(best)] = self._tables.ids[rows[best]], found[best]
        return PhaseMatches(ids, resonance, count, probes, candidates)

    def _candidates(self, hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        numbers = self._tables.numbers[hashes]
        # Buckets and rows from the end of these arrays on are newer than the snapshot.
        rows = self._tables.buckets[numbers[(numbers >= 0) & (numbers < len(self._tables.buckets))]]
        return rows[rows < self._rows]


class PhaseIndex:
    """Signatures of nine complex numbers, each with an id, in buckets of their `phase_hash` of at most 16.

    A full bucket takes no more: a signature whose bucket is full is not stored, and `add` returns which ones were.
    Every stored signature stays; nothing is evicted.

    All methods may be called from several threads. Writers take turns. A search sees all of what an `add` stores, or
    nothing of it.

    Examples
    --------
    >>> index = PhaseIndex()
    >>> psi = np.array([[1 + 1j] * 9, [1j - 1] * 9], np.complex64)
    >>> index.add(psi, np.array([7, 8])).tolist()
    [True, True]
    >>> index.search(psi[1]).ids.tolist()
    [[8]]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused = 0
        self._unfinished = False
        numbers = np.full(4**PHASES, -1, np.int32)
        self._tables = _Tables(
            numbers,
            np.zeros((0, BUCKET), np.int32),
            np.zeros((0, PHASES), np.complex64),
            np.zeros(0, np.int64),
        )
        #: The tables are longer than what is in use. What was added last is published by these two numbers.
        self._used = (0, 0)

    def __len__(self) -> int:
        """Return the number of stored signatures."""
        return self._used[0]

    @property
    def refused(self) -> int:
        """Number of signatures that were not stored since their buckets were full."""
        return self._refused

    def add(self, psi: npt.NDArray[np.complex64], ids: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Store signatures in their order, as long as there is room in their buckets.

        Parameters
        ----------
        psi : complex64 array of shape (N, 9)
            Signatures; finite.
        ids : integer array of shape (N,)
            Number of each, which int64 holds; -1 is allowed, and equal numbers are.

        Returns
        -------
        bool array of shape (N,)
            True for each that is stored, False for each whose bucket is full.

        Raises
        ------
        InputError
            Type, shape or a number is out of range; nothing is stored.
        """
        psi, ids = _checked(np.asarray(psi), "psi"), np.asarray(ids)
        if ids.shape != (len(psi),) or ids.dtype.kind not in "iu" or (ids.dtype == np.uint64 and (ids >> 63).any()):
            raise InputError(f"ids must be integers of shape ({len(psi)},) below 2**63, not {ids.dtype} {ids.shape}")
        hashes = phase_hash(psi)
        order = np.argsort(hashes, kind="stable")
        different, starts, sizes = np.unique(hashes[order], return_index=True, return_counts=True)
        rank = np.empty(len(psi), np.int64)
        rank[order] = np.arange(len(psi)) - np.repeat(starts, sizes)
        with self._lock:
            self._settle()
            rows, used = self._used
            tables = self._tables
            numbers = tables.numbers[different]
            fill = np.zeros(len(different), np.int64)
            fill[numbers >= 0] = (tables.buckets[numbers[numbers >= 0]] != _FREE).sum(axis=1)
            places = fill[np.searchsorted(different, hashes)] + rank
            stored = places < BUCKET
            new = different[numbers < 0]
            total, buckets = rows + int(stored.sum()), used + len(new)
            self._tables = tables = _grown(tables, total, buckets)
            self._unfinished = True
            tables.psi[rows:total], tables.ids[rows:total] = psi[stored], ids[stored]
            tables.numbers[new] = np.arange(used, buckets, dtype=np.int32)
            tables.buckets[tables.numbers[hashes[stored]], places[stored]] = np.arange(rows, total, dtype=np.int32)
            self._used = total, buckets
            self._unfinished = False
            self._refused += len(psi) - (total - rows)
        return stored

    def snapshot(self) -> PhaseSnapshot:
        """Return the signatures of this moment; it can be searched while others are added."""
        with self._lock:
            return PhaseSnapshot(self._tables, self._used[0])

    def search(self, psi: npt.NDArray[np.complex64], k: int = 1, **options: Any) -> PhaseMatches:
        """Search a snapshot of this moment; see `PhaseSnapshot.search`."""
        return self.snapshot().search(psi, k, **options)

    def save(self, path: Path | str) -> None:
        """Write the signatures to a file, which ``numpy.load`` can read; an old file is replaced when all is written.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        now = self.snapshot()
        save_state(State(_KIND, 0, {"psi": now.psi, "ids": now.ids}, {"refused": self._refused}), path)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an index from a file that `save` wrote.

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
        index, refused = cls(), state.attributes.get("refused")
        if type(refused) is not int or refused < 0:
            raise DamagedDataError(f"{path} is damaged: refused is {refused!r}, not a count")
        try:
            stored = index.add(*(np.asarray(state.arrays[name]) for name in ("psi", "ids")))
        except KeyError as error:
            raise DamagedDataError(f"{path} is damaged: it has no array {error}") from error
        except InputError as error:
            raise DamagedDataError(f"{path} is damaged: {error}") from error
        if not stored.all():
            raise DamagedDataError(f"{path} is damaged: it has more than {BUCKET} signatures of one hash")
        index._refused = refused
        return index

    def _settle(self) -> None:
        """Take back what an `add` wrote that an exception, such as KeyboardInterrupt, ended."""
        if self._unfinished:
            rows, used = self._used
            tables = self._tables
            tables.buckets[(tables.buckets >= rows) & (tables.buckets != _FREE)] = _FREE
            tables.numbers[tables.numbers >= used] = -1
            self._unfinished = False


def _grown(tables: _Tables, rows: int, buckets: int) -> _Tables:
    """Return tables with room for that much. Snapshots keep the old ones, which change no more."""
    if rows > len(tables.ids):
        room = max(rows, 2 * len(tables.ids)) - len(tables.ids)
        longer = (
            np.concatenate([array, np.zeros((room, *array.shape[1:]), array.dtype)])
            for array in (tables.psi, tables.ids)
        )
        tables = _Tables(tables.numbers, tables.buckets, *longer)
    if buckets > len(tables.buckets):
        room = max(buckets, 2 * len(tables.buckets)) - len(tables.buckets)
        free = np.full((room, BUCKET), _FREE, np.int32)
        tables = _Tables(tables.numbers, np.concatenate([tables.buckets, free]), tables.psi, tables.ids)
    return tables


def _probes(turned: npt.NDArray[np.complex64], delta: float) -> npt.NDArray[np.uint32]:
    """Return the different hashes of signatures and of all combinations of their neighbouring quadrants."""
    re, im = np.abs(turned.real), np.abs(turned.imag)
    near = np.arctan2(np.minimum(re, im), np.maximum(re, im)) <= delta
    # Across the real axis, quadrant 0 is beside 3 and 1 beside 2; across the other, 0 is beside 1 and 2 beside 3.
    flips = np.where(im < re, 3, 1).astype(np.uint32) << np.arange(0, 2 * PHASES, 2, dtype=np.uint32)
    hashes, owners = phase_hash(turned), np.arange(len(turned))
    if delta > 0:
        for number in np.flatnonzero(near.any(axis=0)):
            some = near[owners, number]
            hashes = np.concatenate([hashes, hashes[some] ^ flips[owners[some], number]])
            owners = np.concatenate([owners, owners[some]])
    return hashes if len(turned) == 1 else np.unique(hashes)


def _turned(query: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return a query turned by common phases, one between each two phases at which a number changes its quadrant."""
    quarter = np.pi / 2
    crossings = np.sort(-np.angle(query) % quarter)
    gaps = np.diff([*crossings, crossings[0] + quarter])
    middles = (crossings + gaps / 2)[gaps > 0]
    phases = (middles[:, np.newaxis] + quarter * np.arange(4)).ravel()
    return (query * np.exp(1j * phases)[:, np.newaxis]).astype(np.complex64)


def _checked(psi: npt.NDArray[Any], name: str) -> _Signatures:
    if psi.ndim != 2 or psi.shape[1] != PHASES or psi.dtype != np.complex64:
        raise InputError(f"{name} must be complex64 of shape (N, {PHASES}), not {psi.dtype} of shape {psi.shape}")
    if (wrong := np.argwhere(~np.isfinite(psi))).size:
        row, number = wrong[0]
        raise InputError(f"{name} must be finite: number {number} of row {row} is {psi[row, number]}")
    return psi


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
