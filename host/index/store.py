"""Stored content of an index: its environment and segments, and the parts that one version of them is searched as."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError

from .columns import FieldColumn, Scalar
from .environment import Environment, Transaction
from .manifest import Manifest
from .parts import Part, Parts
from .segments import FOLDER, Segment
from .tables import Catalogue, Generation, Listed, Tables

__all__ = ["Store", "Tail", "Version"]

#: Attempts to open a list of segments whose files another process removes meanwhile.
_ATTEMPTS: Final = 100


@dataclass(frozen=True, eq=False)
class Tail:
    """Rows in no segment.

    Attributes
    ----------
    generation : int
        Generation of the nits.
    sequence : int64 array of shape (n,)
        Sequence numbers, ascending.
    vectors : float array of shape (n, D)
        Vectors, of `Manifest.tail_dtype`.
    nits : uint8 array of shape (n, ceil(D / 2))
        Packed nits.
    values : mapping of str to list
        Values of the declared fields, None for each row that lacks the field.
    """

    generation: int
    sequence: npt.NDArray[np.int64]
    vectors: npt.NDArray[Any]
    nits: npt.NDArray[np.uint8]
    values: Mapping[str, Sequence[Scalar | None]]


@dataclass(frozen=True, eq=False)
class Version:
    """Committed content of an index.

    Attributes
    ----------
    number : int
        Number of the transaction that committed it.
    catalogue : Catalogue
    tail : Tail
    parts : Parts
        Segments, then the tail.
    """

    number: int
    catalogue: Catalogue
    tail: Tail
    parts: Parts


class Store:
    """Environment and segments of one folder.

    Parameters
    ----------
    folder : Path
        Folder of the index.
    manifest : Manifest
    create : bool
        Create the environment.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, create: bool = False) -> None:
        self.folder, self.manifest = folder, manifest
        self.segment_folder = folder / FOLDER
        self.environment = Environment.of(folder, create=create)
        self._lock = threading.Lock()
        self._segments: dict[str, Segment] = {}
        self._version: Version | None = None

    def close(self) -> None:
        """End the use of the environment."""
        self.environment.release()

    def tables(self, transaction: Transaction) -> Tables:
        """Return the tables in a transaction."""
        return Tables(transaction, lambda digest: self.segment(digest).sequence)

    def segment(self, digest: str) -> Segment:
        """Return an open segment; raise `FileNotFoundError` if its file has been removed."""
        found = self._segments.get(digest)
        if found is None:
            found = self._segments[digest] = Segment.open(self.segment_folder, digest, self.manifest.declared)
        return found

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Tables, Version]]:
        """Yield the tables and the version of the last commit, in one transaction."""
        tables, version, end = self.begin()
        try:
            yield tables, version
        finally:
            end()

    def begin(self) -> tuple[Tables, Version, Any]:
        """Return tables and version of the last commit, and the function that ends their transaction."""
        for _ in range(_ATTEMPTS):
            transaction, end = self.environment.begin()
            try:
                tables = self.tables(transaction)
                return tables, self.version(tables), end
            except FileNotFoundError as error:
                end()
                missing = error
            except BaseException:
                end()
                raise
        raise DamagedDataError(f"{missing.filename} is missing; rebuild the index")

    def version(self, tables: Tables) -> Version:
        """Return the version that a transaction reads; the last one is kept, and the next one shares its content."""
        number = tables.transaction.id
        with self._lock:
            before = self._version
            if before is not None and before.number == number:
                return before
            catalogue = tables.catalogue()
            # A transaction may be older than the version that is kept, whose tail lacks rows that were sealed since.
            kept_tail = before.tail if before is not None and before.number < number else None
            tail = self._tail(tables, catalogue.generation, kept_tail)
            parts = [self._part(tables, listed) for listed in catalogue.segments]
            if len(tail.sequence) or not parts:
                parts.append(self._tail_part(tail, catalogue.generation, number))
            found = Version(number, catalogue, tail, Parts(parts, str(self.environment.identity)))
            if before is None or number > before.number:
                self._version = found
                kept = {listed.digest for listed in catalogue.segments}
                for digest in self._segments.keys() - kept:
                    del self._segments[digest]
            return found

    def _part(self, tables: Tables, listed: Listed) -> Part:
        segment, bitmap = self.segment(listed.digest), tables.dead(listed)
        dead = np.unpackbits(bitmap, count=listed.rows, bitorder="little").view(np.bool_)
        return Part(segment.database, segment.sequence, ~dead if dead.any() else None, columns=lambda: segment.columns)

    def _tail_part(self, tail: Tail, generation: Generation, number: int) -> Part:
        arrays = {"nits": tail.nits} | ({"vectors": tail.vectors} if self.manifest.vectors else {})
        attributes = generation.attributes(len(tail.sequence), self.manifest.dimensions)
        attributes.pop("centroid_scale", None)
        # Named after its version, as hashing 16,384 vectors at every commit would take longer than a search.
        name = hashlib.sha256(f"{self.environment.token} {number} {generation.number}".encode()).hexdigest()

        @functools.cache
        def columns() -> Mapping[str, FieldColumn]:
            return {field.name: FieldColumn.of(field, tail.values[field.name]) for field in self.manifest.declared}

        return Part(Database(arrays, attributes, name), tail.sequence, on_host=True, columns=columns)

    def _tail(self, tables: Tables, generation: Generation, before: Tail | None) -> Tail:
        """Return the tail, with the nits of rows that `before` holds already."""
        sequence = tables.tail()
        dimensions, dtype = self.manifest.dimensions, self.manifest.tail_dtype
        if before is None or before.generation != generation.number:
            nothing = np.zeros((0, (dimensions + 1) // 2), np.uint8)
            none: dict[str, list[Scalar | None]] = {name: [] for name in self.manifest.fields}
            before = Tail(generation.number, np.zeros(0, np.int64), np.zeros((0, dimensions), dtype), nothing, none)
        if np.array_equal(sequence, before.sequence):
            return before
        last = int(before.sequence[-1]) if len(before.sequence) else 0
        fresh = tables.tail_vectors(last + 1, dtype, dimensions)
        nits = pack(quantise(fresh.astype(np.float32), generation.scale, generation.mode))
        kept = np.isin(before.sequence, sequence, assume_unique=True)
        vectors = np.concatenate([before.vectors[kept], fresh])
        values: dict[str, list[Scalar | None]] = {}
        if self.manifest.fields:
            new = [tables.entry(number).fields for number in sequence[len(sequence) - len(fresh) :].tolist()]
            for name, old in before.values.items():
                values[name] = [*itertools.compress(old, kept.tolist()), *(fields.get(name) for fields in new)]
        return Tail(generation.number, sequence, vectors, np.concatenate([before.nits[kept], nits]), values)
