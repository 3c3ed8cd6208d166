"""Tail of an index in memory: rows in no segment, in chunks, of which a commit changes the last one only.

A reader takes over the tail of the version before. So a search after a commit pays for the rows of that commit, and not
for the whole tail.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Database

from .columns import FieldColumn, Scalar
from .manifest import Manifest
from .parts import Part
from .tables import Generation, Tables

__all__ = ["CHUNK_ROWS", "Tail"]

#: Rows of a full chunk. A commit copies and checks half of them on average, and a search merges the chunks.
CHUNK_ROWS: Final = 2048

_Values = Mapping[str, Sequence[Scalar | None]]


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some rows of a tail.

    Attributes
    ----------
    sequence : int64 array of shape (n,)
        Sequence numbers, ascending.
    vectors : float array of shape (n, D)
        Vectors, of `Manifest.tail_dtype`.
    values : mapping of str to list
        Values of the declared fields, None for each row that lacks the field.
    part : Part
        The rows as they are searched; of dead rows it has a mask.
    """

    sequence: npt.NDArray[np.int64]
    vectors: npt.NDArray[Any]
    values: _Values
    part: Part

    def only(self, alive: npt.NDArray[np.bool_]) -> _Chunk:
        """Return the chunk with some rows alive, and the others dead."""
        there = len(self.part)
        return self if there == np.count_nonzero(alive) else replace(self, part=replace(self.part, alive=alive))

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """Mask of the live rows, of the caller's own."""
        return np.ones(len(self.sequence), np.bool_) if self.part.alive is None else self.part.alive.copy()


@dataclass(frozen=True, eq=False)
class Tail:
    """Rows in no segment.

    Attributes
    ----------
    manifest : Manifest
    generation : Generation
        Generation of the nits.
    token : str
        Name of the environment, unique to its use; chunks are named after it.
    chunks : tuple of _Chunk
        In the order of sequence numbers; each has live rows.
    """

    manifest: Manifest
    generation: Generation
    token: str
    chunks: tuple[_Chunk, ...] = ()

    @classmethod
    def read(cls, tables: Tables, manifest: Manifest, token: str, before: Tail | None) -> Tail:
        """Return the tail that a transaction reads, with what `before` holds already."""
        generation = tables.catalogue().generation
        if before is None or before.generation.number != generation.number:
            before = cls(manifest, generation, token)
        tail = before
        fresh, vectors = tables.tail_rows(before.last + 1, manifest.tail_dtype, manifest.dimensions)
        there = tables.transaction.count("tail")
        # Rows that are known to have been removed are all that were, if the number of rows is right without them.
        if len(tail) + len(fresh) != there:
            tail = before._without(tables.cut())
        if len(tail) + len(fresh) != there:
            tail = before._only(tables.tail())
        if not len(fresh):
            return tail
        values: dict[str, list[Scalar | None]] = {}
        if manifest.fields:
            fields = [tables.entry(number).fields for number in fresh.tolist()]
            values = {name: [one.get(name) for one in fields] for name in manifest.fields}
        return tail._extended(fresh, vectors, values)

    def __len__(self) -> int:
        """Return the number of live rows."""
        return sum(len(chunk.part) for chunk in self.chunks)

    @property
    def last(self) -> int:
        """Last sequence number; 0 without rows."""
        return int(self.chunks[-1].sequence[-1]) if self.chunks else 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts to search, one for each chunk."""
        return tuple(chunk.part for chunk in self.chunks)

    @property
    def empty_part(self) -> Part:
        """Part without rows, for an index that has no others."""
        values: _Values = {name: [] for name in self.manifest.fields}
        return self._chunk(self.sequence, self.vectors, self.nits, values).part

    # Live rows.

    @property
    def sequence(self) -> npt.NDArray[np.int64]:
        """Sequence numbers of the live rows, int64 of shape (n,), ascending."""
        return np.concatenate([np.zeros(0, np.int64), *(chunk.sequence[chunk.alive] for chunk in self.chunks)])

    @property
    def vectors(self) -> npt.NDArray[Any]:
        """Vectors of the live rows, of shape (n, D) and `Manifest.tail_dtype`."""
        nothing = np.zeros((0, self.manifest.dimensions), self.manifest.tail_dtype)
        return np.concatenate([nothing, *(chunk.vectors[chunk.alive] for chunk in self.chunks)])

    @property
    def nits(self) -> npt.NDArray[np.uint8]:
        """Packed nits of the live rows, uint8 of shape (n, ceil(D / 2))."""
        nothing = np.zeros((0, (self.manifest.dimensions + 1) // 2), np.uint8)
        found = (np.asarray(chunk.part.database.arrays["nits"])[chunk.alive] for chunk in self.chunks)
        return np.concatenate([nothing, *found])

    def columns(self) -> dict[str, FieldColumn]:
        """Return the columns of the declared fields for the live rows."""
        values = self._live_values()
        return {field.name: FieldColumn.of(field, values[field.name]) for field in self.manifest.declared}

    # Changes.

    def _without(self, numbers: npt.NDArray[np.int64]) -> Tail:
        """Return the tail without the rows of some sequence numbers, which it need not have."""
        chunks = []
        for chunk in self.chunks:
            places = np.searchsorted(chunk.sequence, numbers)
            inside = places < len(chunk.sequence)
            places = places[inside]
            alive = chunk.alive
            alive[places[chunk.sequence[places] == numbers[inside]]] = False
            chunks.append(chunk.only(alive))
        return replace(self, chunks=tuple(chunk for chunk in chunks if len(chunk.part)))

    def _only(self, numbers: npt.NDArray[np.int64]) -> Tail:
        """Return the tail with the rows of some sequence numbers only."""
        chunks = [chunk.only(chunk.alive & np.isin(chunk.sequence, numbers)) for chunk in self.chunks]
        return replace(self, chunks=tuple(chunk for chunk in chunks if len(chunk.part)))

    def _extended(self, sequence: npt.NDArray[np.int64], vectors: npt.NDArray[Any], values: _Values) -> Tail:
        """Return the tail with more rows at its end, which fill its last chunk and then new ones."""
        kept = list(self.chunks)
        rows, live = sum(len(chunk.sequence) for chunk in kept), len(self)
        # All chunks are made again when most of their rows are dead, and otherwise the last one if it has room.
        first = 0 if rows > 2 * live + CHUNK_ROWS else len(kept)
        if first and len(kept[-1].sequence) < CHUNK_ROWS:
            first -= 1
        again = replace(self, chunks=self.chunks[first:])
        nits = pack(quantise(vectors.astype(np.float32), self.generation.scale, self.generation.mode))
        sequence, nits = np.concatenate([again.sequence, sequence]), np.concatenate([again.nits, nits])
        vectors = np.concatenate([again.vectors, vectors])
        old = again._live_values()
        values = {name: [*old[name], *values[name]] for name in self.manifest.fields}
        kept = kept[:first]
        for at in range(0, len(sequence), CHUNK_ROWS):
            some = slice(at, at + CHUNK_ROWS)
            listed = {name: of[some] for name, of in values.items()}
            kept.append(self._chunk(sequence[some], vectors[some], nits[some], listed))
        return replace(self, chunks=tuple(kept))

    def _live_values(self) -> dict[str, list[Scalar | None]]:
        """Return the values of the declared fields of the live rows."""
        return {
            name: [v for chunk in self.chunks for v in itertools.compress(chunk.values[name], chunk.alive.tolist())]
            for name in self.manifest.fields
        }

    def _chunk(
        self,
        sequence: npt.NDArray[np.int64],
        vectors: npt.NDArray[Any],
        nits: npt.NDArray[np.uint8],
        values: _Values,
    ) -> _Chunk:
        generation = self.generation
        arrays = {"nits": nits} | ({"vectors": vectors} if self.manifest.vectors else {})
        attributes = generation.attributes(len(sequence), self.manifest.dimensions)
        attributes.pop("centroid_scale", None)
        # Named by a number, as hashing the vectors of each commit would take longer than a search.
        name = hashlib.sha256(f"{self.token} {next(_numbers)}".encode()).hexdigest()

        @functools.cache
        def columns() -> Mapping[str, FieldColumn]:
            return {field.name: FieldColumn.of(field, values[field.name]) for field in self.manifest.declared}

        part = Part(Database(arrays, attributes, name), sequence, on_host=True, columns=columns)
        return _Chunk(sequence, vectors, values, part)


#: Numbers of the chunks of this process.
_numbers: Final = itertools.count()
