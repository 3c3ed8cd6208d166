"""Tables of an index in LMDB, read and changed in one transaction.

=============  ============================================  ============================================
database       key                                           value
=============  ============================================  ============================================
``ids``        SHA-256 of the UTF-8 id                       sequence number
``records``    sequence number                               entry, in JSON; its context in Base64
``tail``       sequence number of a row in no segment yet    its vector
``dead``       digest of a segment                           bitmap of its dead rows, lowest bit first
``state``      ``catalogue``, ``next``, ``macro``, ``micro`` generation and segments; the next sequence
                                                             number; nits of the centroids
               ``writes``                                    number of the last write of a key
               ``cut``                                       numbers of rows last removed from the tail
               ``bound``                                     largest number of entries, if it is bounded
``writes``     ``k`` and the SHA-256 of the key of a write    its number, its result and the SHA-256 of
               that is made at most once                     its content, in JSON
               ``n`` and the number of such a write          the SHA-256 of its key
``uses``       sequence number, in a bounded index           row of `ninefold.host.index.bounded`
``redirects``  SHA-256 of the id of a merged entry           sequence number of the entry that was kept, the
                                                             SHA-256 of the merged record, and its id
=============  ============================================  ============================================

Sequence numbers are 8 bytes, the highest first, so that keys are in their order. They grow with every entry that is
added or replaced, and are never used again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import Mode
from ninefold.spec.terminal import printable

from .bounded import Bounds
from .environment import Transaction
from .settings import Setting

__all__ = ["KNOWN_WRITES", "Catalogue", "Generation", "Listed", "Name", "Tables", "Written", "pausing"]

#: Number of writes whose keys are known.
KNOWN_WRITES: Final = 4096
#: Number of rows removed from the tail whose numbers are known, so that readers need not list the tail.
KNOWN_CUTS: Final = 1024
#: Entries that are written before a pause, and its time, in which another thread can take its turn.
_RUN = 16
_PAUSE_S: Final = 5e-5
_Item = TypeVar("_Item")
#: First byte of keys of the table ``writes``.
_WRITE: Final = b"k"
_ORDER: Final = b"n"


@dataclass(frozen=True)
class Generation:
    """Properties that all nits of an index share until they are made again.

    Attributes
    ----------
    number : int
        1 for the first generation; every replacement or recalibration adds 1.
    mode : str
        Thresholds of the quantiser.
    scale : float
        Factor by which numbers are multiplied before they are quantised.
    source : str
        Source that was indexed.
    skipped : int
        Number of entries of the source that were skipped.
    ninefold : str
        Ninefold version that made the generation.
    centroid_scale : float or None
        Factor by which centroids were multiplied before they were quantised; None without clusters.
    settings : tuple of Setting
        Settings of a search with their measured recall, the cheapest first; empty if none was measured.
    """

    number: int
    mode: Mode
    scale: float
    source: str = ""
    skipped: int = 0
    ninefold: str = ""
    centroid_scale: float | None = None
    settings: tuple[Setting, ...] = ()

    def attributes(self, rows: int, dimensions: int) -> dict[str, int | float | str]:
        """Return the attributes of a `Database` of this generation."""
        found: dict[str, int | float | str] = {"rows": rows, "dimensions": dimensions}
        found |= {"scale": self.scale, "mode": self.mode}
        return found if self.centroid_scale is None else {**found, "centroid_scale": self.centroid_scale}


@dataclass(frozen=True)
class Listed:
    """Segment in the list.

    Attributes
    ----------
    digest : str
        Digest, which names the file.
    rows, bytes : int
        Number of rows, dead ones included, and size of the file.
    first, last : int
        First and last sequence number.
    """

    digest: str
    rows: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Catalogue:
    """Generation and list of segments, in the order of their sequence numbers.

    Attributes
    ----------
    generation : Generation
    segments : tuple of Listed
    version : int
        Number of the transaction that wrote this list.
    """

    generation: Generation
    segments: tuple[Listed, ...]
    version: int = 0


@dataclass(frozen=True)
class Name:
    """Name of a write that is made at most once.

    Attributes
    ----------
    key : str
        Key, chosen by the caller.
    digest : str
        SHA-256 of what is written, in hexadecimal.
    """

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, what: str, items: Sequence[Entry | str], vectors: npt.NDArray[Any] | None = None) -> Name:
        """Return the name of a write of entries, with their vectors if they were given, or of a removal of ids.

        Raises
        ------
        InputError
            The key is not a string, or is empty.
        """
        if not isinstance(key, str) or not key:
            raise InputError(f"the key of a write must be a string that is not empty, not {key!r}")
        digest = hashlib.sha256(what.encode())
        for one in items:
            record = one.encode() if isinstance(one, str) else _record(one)
            digest.update(len(record).to_bytes(8) + record)
        if vectors is not None:
            rows = np.ascontiguousarray(vectors)
            digest.update(f"{rows.dtype.str} {rows.shape}".encode() + rows.tobytes())
        return cls(key, digest.hexdigest())

    def check(self, known: str) -> None:
        """Raise `InputError` if the write that is known by the key was of other content; empty if that is unknown."""
        if known and known != self.digest:
            raise InputError(
                f"the key {printable(self.key)} names a write of other content: the SHA-256 of that one is {known},"
                f" of this one {self.digest}; give each write a key of its own"
            )


@dataclass
class Written:
    """Result of writes, final once they are committed.

    Attributes
    ----------
    added, replaced, removed : int
        Number of entries that were new, that replaced an entry of the same id, and that were deleted.
    evicted : int
        Number of entries that made place for others, in an index with a bound.
    """

    added: int = 0
    replaced: int = 0
    removed: int = 0
    evicted: int = 0

    def clear(self) -> None:
        """Start counting again."""
        self.added = self.replaced = self.removed = self.evicted = 0

    def count(self, other: Written) -> None:
        """Add the numbers of another result."""
        self.added += other.added
        self.replaced += other.replaced
        self.removed += other.removed
        self.evicted += other.evicted


@dataclass(frozen=True)
class _Redirect:
    """Redirect of the id of a merged entry: number of the entry that was kept, SHA-256 of the merged record, and id."""

    kept: bytes
    digest: bytes
    name: str

    @classmethod
    def of(cls, value: bytes) -> _Redirect:
        return cls(value[:8], value[8:40], value[40:].decode())

    @property
    def value(self) -> bytes:
        return self.kept + self.digest + self.name.encode()


@dataclass
class Tables:
    """Tables in one transaction.

    Attributes
    ----------
    transaction : Transaction
    sequence_of : callable
        ``sequence_of(digest)`` gives the sequence numbers of a segment; needed to remove entries.
    """

    transaction: Transaction
    sequence_of: Callable[[str], npt.NDArray[np.int64]] | None = None
    _dead: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    _cut: list[bytes] = field(default_factory=list)

    # Entries.

    def __len__(self) -> int:
        return self.transaction.count("records")

    def sequence(self, name: str) -> int | None:
        """Return the sequence number of an id, or of the entry into which its entry was merged; None without either."""
        found = self.transaction.get("ids", _key(name))
        if found is None and (redirect := self._redirect(name)) is not None:
            found = redirect.kept
        return None if found is None else int.from_bytes(found)

    def entry(self, sequence: int) -> Entry:
        """Return the entry with a sequence number, which must be live."""
        found = self.transaction.get("records", _number(sequence))
        if found is None:
            raise DamagedDataError(f"entry {sequence} is in a segment and has no record; rebuild the index")
        return _entry(found)

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Yield sequence number and entry of all entries, in the order of their numbers."""
        for key, record in self.transaction.items("records"):
            yield int.from_bytes(key), _entry(record)

    def all_entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their sequence numbers."""
        return (entry for _, entry in self.entries())

    def add(self, entries: Sequence[Entry], vectors: npt.NDArray[Any] | None, written: Written) -> int:
        """Add entries, each of which replaces an entry of the same id; return the sequence number of the first.

        Parameters
        ----------
        entries : sequence of Entry
            Entries with different ids.
        vectors : array of shape (len(entries), D), optional
            Their vectors, for the tail; without them the caller writes a segment.
        written : Written
            Counts them.
        """
        keys = [_key(entry.id) for entry in entries]
        rows = [self._remove(key) for key in pausing(keys)] if self.transaction.count("ids") else [None] * len(keys)
        replaced = sum(row is not None for row in rows)
        written.replaced += replaced
        written.added += len(entries) - replaced
        first = self.next
        numbers = [_number(first + at) for at in range(len(entries))]
        self.transaction.put_all("records", list(zip(numbers, map(_record, pausing(entries)), strict=True)))
        self.transaction.put_all("ids", sorted(zip(keys, numbers, strict=True)))
        if vectors is not None:
            values = [row.tobytes() for row in np.ascontiguousarray(vectors)]
            self.transaction.put_all("tail", list(zip(numbers, values, strict=True)))
        self.transaction.put("state", b"next", _number(first + len(entries)))
        if self.transaction.count("redirects"):
            for key in keys:
                self.transaction.delete("redirects", key)
        if self.bounds.most is not None:
            self.bounds.put(numbers, rows)
            self.evict(written)
        return first

    def remove(self, names: Iterable[str], written: Written) -> None:
        """Remove the entries with these ids; ids without an entry are ignored."""
        for name in pausing(names):
            there = self._remove(_key(name)) is not None
            if not there and self._redirect(name) is not None:
                there = self.transaction.delete("redirects", _key(name))
            written.removed += there

    def evict(self, written: Written) -> None:
        """Remove what a bounded index holds beyond its bound."""
        for number in pausing(self.bounds.evicted(len(self))):
            self._remove(_key(self.entry(number).id))
            written.evicted += 1

    def _remove(self, key: bytes) -> bytes | None:
        """Remove the entry of an id, and return its row of uses, empty without a bound; None without an entry."""
        number = self.transaction.get("ids", key)
        if number is None:
            return None
        self.transaction.delete("ids", key)
        self.transaction.delete("records", number)
        if self.transaction.delete("tail", number):
            self._cut.append(number)
        else:
            self._bury(int.from_bytes(number))
        return self.bounds.pop(number) or b""

    def _bury(self, sequence: int) -> None:
        """Mark the row of a sequence number as dead in its segment."""
        for listed in self.catalogue().segments:
            if listed.first <= sequence <= listed.last:
                assert self.sequence_of is not None  # noqa: S101 - the writer gives it
                row = int(np.searchsorted(self.sequence_of(listed.digest), sequence))
                self.dead(listed)[row // 8] |= np.uint8(1 << row % 8)
                return
        raise DamagedDataError(f"entry {sequence} is in no segment; rebuild the index")

    def verify(self, sequence: npt.NDArray[np.int64]) -> None:
        """Raise `DamagedDataError` unless each row, given by its sequence number, has its id and its record."""
        ids = 0
        for row, (number, entry) in enumerate(self.entries()):
            if row >= len(sequence) or number != sequence[row]:
                raise DamagedDataError(f"entry {number} ({entry.id!r}) has no row; rebuild the index")
            if self.sequence(entry.id) != number:
                raise DamagedDataError(f"entry {number} is not found by its id, {entry.id!r}; rebuild the index")
            ids += 1
        if not ids == len(sequence) == self.transaction.count("ids"):
            raise DamagedDataError(
                f"{len(sequence)} rows have {ids} records and {self.transaction.count('ids')} ids; rebuild the index"
            )

    # Bound.

    @property
    def bounds(self) -> Bounds:
        """Bound of the index, with the uses of its entries."""
        return Bounds(self.transaction)

    def bound(self, most: int | None, written: Written) -> None:
        """Set the largest number of entries, or None, and evict what is too much; see `Bounds.set`."""
        self.bounds.set(most, list(self.transaction.keys("records")))
        self.evict(written)

    def anchor(self, names: Iterable[str], anchored: bool) -> int:
        """Anchor the entries with these ids, or release them; return how many were changed."""
        numbers = [self.transaction.get("ids", _key(name)) for name in names]
        return self.bounds.anchor([number for number in numbers if number is not None], anchored)

    # Merged entries.

    def merge(self, pairs: Iterable[tuple[int, int]]) -> int:
        """Remove near duplicates, and answer their ids by the entries that are kept.

        Parameters
        ----------
        pairs : iterable of (int, int)
            Sequence numbers of an entry that is removed and of the one that is kept, which is removed by no pair.
            A pair of which either is gone is ignored.

        Returns
        -------
        int
            Number of entries that were removed.
        """
        into: dict[bytes, bytes] = {}
        for merged, kept in pausing(pairs):
            old, new = _number(merged), _number(kept)
            record = self.transaction.get("records", old)
            if record is None or self.transaction.get("records", new) is None:
                continue
            into[old] = new
            name = _entry(record).id
            self.bounds.add_uses(old, new)
            self._remove(_key(name))
            redirect = _Redirect(new, hashlib.sha256(record).digest(), name)
            self.transaction.put("redirects", _key(name), redirect.value)
        for key, value in list(self.transaction.items("redirects")):
            redirect = _Redirect.of(value)
            if redirect.kept in into:
                self.transaction.put("redirects", key, replace(redirect, kept=into[redirect.kept]).value)
            elif self.transaction.get("records", redirect.kept) is None:
                self.transaction.delete("redirects", key)
        return len(into)

    def redirects(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of merged entries, each with the id of the entry that was kept."""
        for _, value in self.transaction.items("redirects"):
            redirect = _Redirect.of(value)
            if (record := self.transaction.get("records", redirect.kept)) is not None:
                yield redirect.name, _entry(record).id

    def kept(self, entry: Entry) -> str | None:
        """Return the id of the entry into which an entry of the same content was merged, or None."""
        redirect = self._redirect(entry.id)
        if redirect is None or redirect.digest != hashlib.sha256(_record(entry)).digest():
            return None
        return self.entry(int.from_bytes(redirect.kept)).id

    def _redirect(self, name: str) -> _Redirect | None:
        """Return the redirect of an id whose entry was merged, while the kept one is there unchanged."""
        value = self.transaction.get("redirects", _key(name))
        redirect = None if value is None else _Redirect.of(value)
        if redirect is None or self.transaction.get("records", redirect.kept) is None:
            return None
        return redirect

    # Writes that are made at most once.

    def once(self, name: Name, operation: Callable[[Tables, Written], None], written: Written) -> None:
        """Make a write, unless one of the same name is known; count the result of the first one.

        The last `KNOWN_WRITES` keys are known.

        Raises
        ------
        InputError
            The key was given to a write of other content.
        """
        found = self.result(name)
        if found is None:
            found = Written()
            operation(self, found)
            self._remember(name, found)
        written.count(found)

    def result(self, name: Name) -> Written | None:
        """Return the result of a write by its name, or None if no such write is known; see `once`."""
        found = self.transaction.get("writes", _WRITE + _key(name.key))
        if found is None:
            return None
        _, added, replaced, removed, *later = json.loads(found)
        digest, evicted = later + ["", 0][len(later) :]  # indexes of earlier versions lack them
        name.check(digest)
        return Written(added, replaced, removed, evicted)

    def _remember(self, name: Name, written: Written) -> None:
        numbers = self.transaction.items("writes", _ORDER)
        oldest = next(numbers, None)
        latest = int.from_bytes(self.transaction.get("state", b"writes") or b"")
        self.transaction.put("state", b"writes", _number(latest + 1))
        self.transaction.put("writes", _ORDER + _number(latest + 1), _key(name.key))
        result = [latest + 1, written.added, written.replaced, written.removed, name.digest, written.evicted]
        self.transaction.put("writes", _WRITE + _key(name.key), json.dumps(result).encode())
        if oldest is not None and self.transaction.count("writes") > 2 * KNOWN_WRITES:
            self.transaction.delete("writes", oldest[0])
            self.transaction.delete("writes", _WRITE + oldest[1])

    # The tail and dead rows.

    @property
    def next(self) -> int:
        """Next sequence number."""
        return int.from_bytes(self.transaction.get("state", b"next") or _number(1))

    def tail(self) -> npt.NDArray[np.int64]:
        """Return the sequence numbers of the rows in no segment, int64 of shape (n,)."""
        return np.frombuffer(b"".join(self.transaction.keys("tail")), ">i8").astype(np.int64)

    def tail_rows(
        self, first: int, dtype: npt.DTypeLike, dimensions: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        """Return the rows in no segment from a sequence number on: their numbers (n,) and vectors (n, dimensions)."""
        rows = list(self.transaction.items("tail", _number(first)))
        numbers = np.frombuffer(b"".join(number for number, _ in rows), ">i8").astype(np.int64)
        return numbers, np.frombuffer(b"".join(vector for _, vector in rows), dtype).reshape(-1, dimensions)

    def cut(self) -> npt.NDArray[np.int64]:
        """Return the sequence numbers of rows that were removed from the tail of late, the last ones at least."""
        return np.frombuffer(self.transaction.get("state", b"cut") or b"", ">i8").astype(np.int64)

    def cut_tail(self, sequence: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Remove rows from the tail; return which of them were still there."""
        return np.array([self.transaction.delete("tail", _number(number)) for number in sequence.tolist()], np.bool_)

    def clear(self) -> None:
        """Remove all entries; sequence numbers go on."""
        for database in ("ids", "records", "tail", "dead", "redirects"):
            self.transaction.clear(database)
        self._dead.clear()
        self.bounds.set(None, ())

    def dead(self, listed: Listed) -> npt.NDArray[np.uint8]:
        """Return the bitmap of a segment's dead rows; a write changes it in place, and `finish` keeps it."""
        if listed.digest not in self._dead:
            kept = self.transaction.get("dead", bytes.fromhex(listed.digest))
            empty = np.zeros((listed.rows + 7) // 8, np.uint8)
            self._dead[listed.digest] = empty if kept is None else np.frombuffer(kept, np.uint8).copy()
        return self._dead[listed.digest]

    # The list of segments.

    @property
    def created(self) -> bool:
        """True once the index has a list."""
        return self.transaction.get("state", b"catalogue") is not None

    def catalogue(self) -> Catalogue:
        """Return the generation and the list of segments."""
        if not hasattr(self, "_catalogue"):
            content = self.transaction.get("state", b"catalogue")
            if content is None:
                raise DamagedDataError("the index has no list of segments; rebuild it")
            try:
                self._catalogue = _catalogue(json.loads(content))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DamagedDataError(f"the list of segments is damaged: {error}; rebuild the index") from error
        return self._catalogue

    def switch(self, generation: Generation, segments: Sequence[Listed]) -> None:
        """Write the generation and the list of segments."""
        self._catalogue = Catalogue(generation, tuple(segments), self.transaction.id)
        self.transaction.put("state", b"catalogue", json.dumps(asdict(self._catalogue)).encode())
        kept = {bytes.fromhex(listed.digest) for listed in segments}
        for key in [key for key in self.transaction.keys("dead") if key not in kept]:
            self.transaction.delete("dead", key)

    def centroids(self, dimensions: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        """Return the packed nits of the generation's centroids, of clusters and of lists; None without clusters."""
        found = [self.transaction.get("state", name) for name in (b"macro", b"micro")]
        if self.catalogue().generation.centroid_scale is None or None in found:
            return None
        macro, micro = (np.frombuffer(one or b"", np.uint8).reshape(-1, (dimensions + 1) // 2) for one in found)
        return macro, micro

    def set_centroids(self, macro: npt.NDArray[np.uint8], micro: npt.NDArray[np.uint8]) -> None:
        """Write the packed nits of the generation's centroids."""
        self.transaction.put("state", b"macro", macro.tobytes())
        self.transaction.put("state", b"micro", micro.tobytes())

    def finish(self) -> None:
        """Keep the changed bitmaps of dead rows and the numbers of removed ones, just before the commit."""
        if self._cut:
            known = (self.transaction.get("state", b"cut") or b"") + b"".join(self._cut)
            self.transaction.put("state", b"cut", known[-8 * KNOWN_CUTS :])
        kept = {listed.digest for listed in self.catalogue().segments}
        for digest, bitmap in self._dead.items():
            if digest in kept and bitmap.any():
                self.transaction.put("dead", bytes.fromhex(digest), bitmap.tobytes())


def _catalogue(content: Any) -> Catalogue:
    settings = tuple(Setting(**setting) for setting in content["generation"].pop("settings"))
    generation = Generation(**content["generation"], settings=settings)
    segments = tuple(Listed(**listed) for listed in content["segments"])
    return Catalogue(generation, segments, content["version"])


def pausing(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items, and let other threads run now and then.

    Python changes threads every 5 ms, and a search waits for its turn several times, after each call of the kernel. So
    a thread that writes pauses before Python makes it.
    """
    for number, item in enumerate(items):
        if number % _RUN == _RUN - 1:
            time.sleep(_PAUSE_S)
        yield item


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _number(sequence: int) -> bytes:
    return sequence.to_bytes(8)


def _record(entry: Entry) -> bytes:
    record: dict[str, Any] = {"id": entry.id, "title": entry.title, "text": entry.text}
    record |= {"fields": dict(entry.fields)} if entry.fields else {}
    record |= {"context": base64.b64encode(entry.context).decode()} if entry.context else {}
    return json.dumps(record, ensure_ascii=False).encode()


def _entry(record: bytes) -> Entry:
    try:
        content = json.loads(record)
        if "context" in content:
            content["context"] = base64.b64decode(content["context"], validate=True)
        return Entry(**content)
    except (ValueError, TypeError) as error:
        raise DamagedDataError("a record is not an entry; rebuild the index") from error
