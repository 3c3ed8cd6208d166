"""Stored content of an index: its environment and segments, and the parts that one version of them is searched as."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ninefold.spec.errors import DamagedDataError

from .environment import Environment, Transaction
from .manifest import Manifest
from .parts import Part, Parts
from .segments import FOLDER, Segment
from .tables import Catalogue, Listed, Tables
from .tail import Tail

__all__ = ["Store", "Version"]

#: Attempts to open a list of segments whose files another process removes meanwhile.
_ATTEMPTS: Final = 100


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

    @property
    def _advice(self) -> str:
        return f"`ninefold doctor {self.environment.folder}` says what can be saved"

    def tables(self, transaction: Transaction) -> Tables:
        """Return the tables in a transaction."""
        return Tables(transaction, lambda digest: self.segment(digest).sequence)

    def segment(self, digest: str) -> Segment:
        """Return an open segment; raise `FileNotFoundError` if its file has been removed."""
        found = self._segments.get(digest)
        if found is None:
            try:
                found = Segment.open(self.segment_folder, digest, self.manifest.declared)
            except DamagedDataError as error:
                raise DamagedDataError(f"{error}; {self._advice}") from error
            self._segments[digest] = found
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
        raise DamagedDataError(f"{missing.filename} is missing; {self._advice}")

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
            tail = Tail.read(tables, self.manifest, self.environment.token, kept_tail)
            parts = [*(self._part(tables, listed) for listed in catalogue.segments), *tail.parts]
            parts = parts or [tail.empty_part]
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
