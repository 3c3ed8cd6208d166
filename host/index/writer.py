"""Writer of an index: commits, and the upkeep that follows them on threads: sealing, merging, removal of old files.

The order of writing makes a kill at any moment harmless: a segment is written and synced, then its folder, then one
transaction commits the list with the deletions made meanwhile, then files are removed that no reader can see.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError, NinefoldError

from . import bounded
from .columns import FieldColumn
from .duplicates import chosen, near_duplicates
from .generations import Content
from .locks import WriterLock
from .merging import Centroids, due, listed_columns, live_columns, nearest_lists
from .segments import PARTIAL, SUFFIX, Stream, field_streams, write
from .store import Store
from .tables import Generation, Listed, Name, Tables, Written

__all__ = ["SEALED_ROWS", "Durability", "Operation", "Writer"]

_log = logging.getLogger(__name__)

#: Change of the tables, which counts what it does. It may run again, if the map has to grow.
Operation = Callable[[Tables, Written], None]
Durability = Literal["commit", "interval"]

#: Rows of the tail from which it is sealed into a segment.
SEALED_ROWS: Final = 16_384
#: Time between two commits of queued writes, and time after which an idle writer releases its lock.
_INTERVAL_S: Final = 0.1
_IDLE_S: Final = 1.0


class Writer:
    """The one writer of an index.

    Parameters
    ----------
    store : Store
        Content of the index.
    durability : {'commit', 'interval'}
        Commit each write before it returns, or queue writes and commit them together at most every 100 ms.
    """

    def __init__(self, store: Store, durability: Durability = "commit") -> None:
        if durability not in ("commit", "interval"):
            raise InputError(f"durability must be one of commit, interval, not {durability!r}")
        self.store, self.durability = store, durability
        self._lock = WriterLock(store.folder)
        #: Held while segments are written or removed, and taken before `_mutex`.
        self._upkeep = threading.RLock()
        #: Held while the tables are changed.
        self._mutex = threading.RLock()
        self._holders = 0
        self._changed = threading.Condition()
        self._queue: list[tuple[Operation, Written]] = []
        #: Digests of queued writes by their keys.
        self._queued: dict[str, str] = {}
        self._failed: BaseException | None = None
        self._group: tuple[int, list[Operation], Written] | None = None
        self._keeper: threading.Thread | None = None
        self._merger: threading.Thread | None = None
        self._closing = False
        self._used = self._committed = 0.0
        with self._upkeep, self._holding():
            store.environment.remove_dead_readers()
            self.sweep()

    # Writes.

    def apply(self, operation: Operation, name: Name | None = None) -> Written:
        """Make a change by the durability of this writer, or with the others of `group`; with a name, at most once."""
        if name is not None:
            operation = functools.partial(_once, name, operation)
        group = self._group
        if group is not None and group[0] == threading.get_ident():
            group[1].append(operation)
            return group[2]
        if self.durability == "commit":
            return self._commit([operation], Written())
        written = Written()
        with self._changed:
            self._raise_failure()
            if name is not None:
                # Refused now: at the commit, all that is queued would fail with it.
                name.check(self._queued.setdefault(name.key, name.digest))
            self._queue.append((operation, written))
            self._changed.notify_all()
        self._start_keeper()
        return written

    def known(self, name: Name) -> Written | None:
        """Return the result of the write of a name, or None if no such write is committed and known.

        In a group, the result is the group's, which counts it.

        Raises
        ------
        InputError
            The key was given to a write of other content.
        """
        found: Written | None = self._read(lambda tables: tables.result(name))
        group = self._group
        if found is not None and group is not None and group[0] == threading.get_ident():
            return self.apply(lambda _tables, _written: None, name)
        return found

    @contextlib.contextmanager
    def group(self) -> Iterator[Written]:
        """Make all changes of the block in one commit at its end, or none if the block raises an error."""
        if self._group is not None and self._group[0] == threading.get_ident():
            raise InputError("a transaction is open already; transactions do not nest")
        with self._mutex:
            operations: list[Operation] = []
            written = Written()
            self._group = threading.get_ident(), operations, written
            try:
                yield written
            finally:
                self._group = None
            if operations:
                self.flush()
                self._commit(operations, written)

    def _commit(self, operations: Sequence[Operation], written: Written) -> Written:
        """Make changes in one transaction, which is on the disk when this returns."""
        self._look_after(self._change(lambda tables: _run(tables, [(each, written) for each in operations])))
        return written

    def flush(self) -> None:
        """Commit all queued writes; raise the error of one that failed."""
        with self._mutex:
            with self._changed:
                queue, self._queue = self._queue, []
                self._queued.clear()
            if queue:
                self._look_after(self._change(lambda tables: _run(tables, queue)))
                self._committed = time.monotonic()
        with self._changed:
            self._raise_failure()

    def close(self) -> None:
        """Commit queued writes, finish the upkeep that is under way, and release the lock."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        try:
            self.flush()
            for thread in (self._keeper, self._merger):
                if thread is not None:
                    thread.join()
        finally:
            with self._mutex:
                self._lock.release()

    def _change(self, change: Callable[[Tables], Any]) -> Any:
        """Commit a change of the tables, with the uses that readers have sent."""
        uses = bounded.taken(self.store.folder)

        def apply(transaction: Any) -> Any:
            tables = self.store.tables(transaction)
            tables.bounds.count(uses)
            result = change(tables)
            tables.finish()
            return result

        with self._holding():
            return self.store.environment.write(apply)

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """Keep other processes from writing, and other threads from changing the tables at the start and the end."""
        with self._mutex:
            self._lock.take()
            # The lock is by name: after a replacement it guards another index than the one that is open here.
            if self.store.environment.replaced:
                self._lock.release()
                raise InputError(
                    f"{self.store.folder} was replaced, or this process was forked, while it was open for writing; "
                    "open it again"
                )
            self._holders += 1
        try:
            yield
        finally:
            with self._mutex:
                self._holders -= 1
                self._used = time.monotonic()
        self._start_keeper()

    def _raise_failure(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    # Threads.

    def _start_keeper(self) -> None:
        with self._changed:
            if self._keeper is None and not self._closing:
                self._keeper = threading.Thread(target=self._keep, name="ninefold index", daemon=True)
                self._keeper.start()

    def _keep(self) -> None:
        """Commit queued writes at intervals, and release the lock of an idle writer."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing, _IDLE_S / 4)
                if self._closing:
                    return
                queued = bool(self._queue)
            if queued:
                time.sleep(max(0.0, self._committed + _INTERVAL_S - time.monotonic()))
                try:
                    self.flush()
                except BaseException as error:
                    self._failed = error
            with self._mutex:
                if self._holders == 0 and time.monotonic() - self._used >= _IDLE_S:
                    self._lock.release()

    def _look_after(self, wanted: bool) -> None:
        """Start the upkeep on a thread if it is wanted."""
        if not wanted:
            return
        with self._changed:
            if (self._merger is None or not self._merger.is_alive()) and not self._closing:
                self._merger = threading.Thread(target=self._merge_all, name="ninefold merging", daemon=True)
                self._merger.start()

    def _merge_all(self) -> None:
        try:
            self.upkeep()
        except (OSError, NinefoldError) as error:
            # The index is as good as before; the next commit tries again.
            _log.warning("%s could not be compacted: %s", self.store.folder, error)

    # Upkeep.

    def upkeep(self) -> None:
        """Seal a full tail, and merge segments while there are too many or one is largely dead."""
        with self._upkeep, self._holding():
            if self._read(lambda tables: tables.transaction.count("tail")) >= SEALED_ROWS:
                self.seal()
            while chosen := self._read(due):
                self.merge(chosen)

    def compact(self) -> None:
        """Seal the tail, and merge all segments into one without dead rows."""
        if self._group is not None and self._group[0] == threading.get_ident():
            raise InputError("an index cannot be compacted within a transaction")
        with self._upkeep, self._holding():
            self.flush()
            self.seal()
            segments, dead = self._read(
                lambda tables: (s := tables.catalogue().segments, any(tables.dead(one).any() for one in s))
            )
            if len(segments) > 1 or dead:
                self.merge(segments)

    def merge_duplicates(self, scheduler: Scheduler, least: float) -> int:
        """Merge entries that overlap, in one commit; return the number of entries that were removed.

        Anchored entries stay. Of others the more used one is kept, and of these the older one.

        Parameters
        ----------
        scheduler : Scheduler
            Scheduler that computes overlaps, on the CPU.
        least : float
            Least overlap, above 0 and at most 1.
        """
        with self._upkeep, self._holding():
            self.flush()
            with self.store.reading() as (tables, version):
                numbers, uses = tables.bounds.rows()
                parts = version.parts
                sequence = parts.sequence
                pairs, _ = near_duplicates(scheduler, parts, least)
            priority = np.zeros(len(sequence), np.int64)
            if len(numbers):  # in the order of sequence numbers, as are the rows
                priority[np.lexsort((sequence, -uses["uses"].astype(np.int64)))] = np.arange(len(sequence))
                priority[uses["anchored"] != 0] = -1
            merged = [(int(sequence[a]), int(sequence[b])) for a, b in chosen(pairs, priority)]
            if not merged:
                return 0
            count: int = self._change(lambda tables: tables.merge(merged))
            return count

    def replace(
        self,
        generation: Generation,
        entries: Sequence[Entry],
        columns: Mapping[str, Stream],
        centroids: Centroids | None,
        measure: Callable[[Database], Generation],
        bound: int | None = None,
    ) -> Generation:
        """Replace the whole content by a new generation of one segment.

        Parameters
        ----------
        generation : Generation
            Its number is set here.
        entries : sequence of Entry
            Entries with different ids.
        columns : mapping of str to Stream
            Arrays of the segment, without ``sequence``.
        centroids : tuple of uint8 array or None
            Packed nits of the centroids, if the segment has clusters.
        measure : callable
            ``measure(database)`` gives the generation with its measured settings.
        bound : int, optional
            Largest number of entries from now on.

        Returns
        -------
        Generation
        """
        with self._upkeep, self._holding(), self._mutex:
            first, number = self._read(
                lambda tables: (tables.next, tables.catalogue().generation.number if tables.created else 0)
            )
            sequence = np.arange(first, first + len(entries), dtype=np.int64)
            listed = self._written({**columns, **field_streams(self._fields(entries))}, sequence, generation)
            final = replace(measure(self.store.segment(listed.digest).database), number=number + 1)

            def change(tables: Tables) -> None:
                tables.clear()
                if centroids is not None:
                    tables.set_centroids(*centroids)
                tables.switch(final, [listed])
                tables.bounds.set(bound, ())
                tables.add(entries, None, Written())

            self._change(change)
            self.sweep()
        return final

    def _fields(self, entries: Sequence[Entry]) -> dict[str, FieldColumn]:
        """Return the columns of the declared fields."""
        declared = self.store.manifest.declared
        return {one.name: FieldColumn.of(one, [entry.fields.get(one.name) for entry in entries]) for one in declared}

    def seal(self) -> None:
        """Write the rows of the tail as a segment."""
        with self._upkeep, self._holding():
            with self.store.reading() as (tables, version):
                tail, generation = version.tail, version.catalogue.generation
                centroids = tables.centroids(self.store.manifest.dimensions)
            sequence, vectors = tail.sequence, tail.vectors
            if not len(sequence):
                return
            columns = {"nits": Stream.of(tail.nits)}
            if self.store.manifest.vectors:
                columns["vectors"] = Stream.of(vectors)
            if centroids is not None:
                columns |= listed_columns(nearest_lists(vectors, centroids), centroids)
            columns |= field_streams(tail.columns())
            listed = self._written(columns, sequence, generation)

            def change(tables: Tables) -> None:
                there = tables.cut_tail(sequence)
                tables.switch(generation, [*tables.catalogue().segments, listed])
                tables.dead(listed)[:] = np.packbits(~there, bitorder="little")

            self._change(change)
            self.sweep()

    def merge(self, chosen: Sequence[Listed]) -> None:
        """Write the live rows of neighbouring segments as one segment in their place."""
        with self._upkeep, self._holding():
            with self.store.reading() as (_, version):
                generation, digests = version.catalogue.generation, {listed.digest for listed in chosen}
                parts = [part for part in version.parts.parts if part.database.digest in digests]
            live = [part.live if part.live is not None else np.arange(len(part.sequence)) for part in parts]
            sequence = np.concatenate([part.sequence[rows] for part, rows in zip(parts, live, strict=True)])
            merged = [self._written(live_columns(parts, live), sequence, generation)] if len(sequence) else []

            def change(tables: Tables) -> None:
                # Rows that died while the segment was written.
                bitmaps = [np.unpackbits(tables.dead(one), count=one.rows, bitorder="little") for one in chosen]
                dead = np.concatenate([bits[rows] for bits, rows in zip(bitmaps, live, strict=True)])
                segments = list(tables.catalogue().segments)
                at = segments.index(chosen[0])
                segments[at : at + len(chosen)] = merged
                tables.switch(generation, segments)
                if merged:
                    tables.dead(merged[0])[:] = np.packbits(dead, bitorder="little")

            self._change(change)
            self.sweep()

    def recalibrate(
        self,
        make: Callable[[npt.NDArray[np.float16], Generation], Content],
        measure: Callable[[Generation, Database], Generation],
    ) -> tuple[Generation, Generation]:
        """Replace all segments by one of a new generation, made from the vectors of all rows; entries stay.

        What is written meanwhile is in the tail, which the next reader quantises again. The old generation is in place
        until the one commit at the end.

        Parameters
        ----------
        make : callable
            ``make(vectors, generation)`` gives the content of the new generation, from float16 vectors (rows, D).
        measure : callable
            ``measure(generation, database)`` gives the generation with its measured settings.

        Returns
        -------
        tuple of Generation
            Before and after.
        """
        with self._upkeep, self._holding():
            self.compact()
            with self.store.reading() as (_, version):
                before, chosen = version.catalogue.generation, version.catalogue.segments
                part = version.parts.parts[0]
            if not chosen:
                raise InputError("it holds no entries")
            content = make(part.database.arrays["vectors"], before)
            columns = {**content.columns, **field_streams(part.columns())}
            listed = self._written(columns, part.sequence, content.generation)
            database = self.store.segment(listed.digest).database
            after = replace(measure(content.generation, database), number=before.number + 1)

            def change(tables: Tables) -> None:
                dead = tables.dead(chosen[0]).copy()  # rows that died meanwhile
                if content.centroids is not None:
                    tables.set_centroids(*content.centroids)
                tables.switch(after, [listed])
                tables.dead(listed)[:] = dead

            self._change(change)
            self.sweep()
        return before, after

    def sweep(self) -> None:
        """Remove the files of segments that no list names, unless a reader may still open them by an older list."""
        with self._upkeep, self._holding():
            catalogue = self._read(lambda tables: tables.catalogue() if tables.created else None)
            listed = {f"{one.digest}{SUFFIX}" for one in catalogue.segments} if catalogue is not None else set()
            oldest = self.store.environment.oldest_reader()
            if catalogue is not None and oldest is not None and oldest < catalogue.version:
                return
            for path in self.store.segment_folder.iterdir():
                if path.suffix in (SUFFIX, PARTIAL) and path.name not in listed:
                    path.unlink(missing_ok=True)

    def _read(self, of: Callable[[Tables], Any]) -> Any:
        with self.store.environment.reading() as transaction:
            return of(self.store.tables(transaction))

    def _written(
        self, columns: Mapping[str, Stream], sequence: npt.NDArray[np.int64], generation: Generation
    ) -> Listed:
        """Write a segment, and return its place in the list."""
        attributes = generation.attributes(len(sequence), self.store.manifest.dimensions)
        digest = write(self.store.segment_folder, {**columns, "sequence": Stream.of(sequence)}, attributes)
        segment = self.store.segment(digest)
        return Listed(digest, len(sequence), segment.bytes, int(sequence[0]), int(sequence[-1]))


def _once(name: Name, operation: Operation, tables: Tables, written: Written) -> None:
    tables.once(name, operation, written)


def _run(tables: Tables, operations: Sequence[tuple[Operation, Written]]) -> bool:
    """Run operations; return whether upkeep is wanted after them."""
    for _, written in operations:
        written.clear()
    for operation, written in operations:
        operation(tables, written)
    full = tables.transaction.count("tail") >= SEALED_ROWS
    gone = any(written.replaced or written.removed or written.evicted for _, written in operations)
    return full or (gone and bool(due(tables)))
