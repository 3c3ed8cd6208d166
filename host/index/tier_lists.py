"""Lists of an index in tiers: their files, those in memory, the database of the hot ones, and their moves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import DatabaseHandle, Scheduler
from ninefold.host.tiers import ColdStore, Momentum, Placement, Tier, TierSizes, similar_lists
from ninefold.numerics.states import load_state
from ninefold.spec.data import Database, State
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.progress import step

from .lists import ListRows, all_lists, centroid_directions, centroids_of, newer_lists, probed
from .merging import Centroids
from .parts import Parts
from .read import Snapshot
from .tier_record import FOLDER, TierRecord

__all__ = ["Layout", "TieredLists", "damage"]

_MEMORY: Final = "momentum.npz"
#: Questions after which hot lists are chosen again, and time after which momentum and record are written again.
_SETTLE_EVERY: Final = 8
_SAVE_EVERY_S: Final = 5.0
#: Rows since the files were written from which they are written again.
_NEWER_ROWS: Final = 2048

_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Lists in memory, which do not change while a question uses them.

    Attributes
    ----------
    upto : int
        Last sequence number whose row is in the lists.
    held : mapping of int to ListRows
        Hot and warm lists.
    hot : tuple of int
        Hot lists, ascending.
    rows : ListRows or None
        Rows of all hot lists.
    database : Database or None
        The same as a database.
    """

    upto: int
    held: Mapping[int, ListRows] = field(default_factory=dict)
    hot: tuple[int, ...] = ()
    rows: ListRows | None = None
    database: Database | None = None

    def tier(self, number: int) -> Tier:
        """Return the tier of a list."""
        return Tier.HOT if number in self.hot else Tier.WARM if number in self.held else Tier.COLD


class TieredLists:
    """Lists of an index in tiers.

    One thread at a time may call the methods that move lists (`start`, `move`, `save`, `close`). Any thread may take
    `layout`, which is replaced and never changed.

    Parameters
    ----------
    folder : Path
        Folder of the tiers.
    scheduler : Scheduler

    Attributes
    ----------
    record : TierRecord
    layout : Layout
    probed : DatabaseHandle
        Centroids, for ``probe``.
    """

    record: TierRecord
    layout: Layout
    probed: DatabaseHandle

    def __init__(self, folder: Path, scheduler: Scheduler) -> None:
        self.folder, self._scheduler = folder, scheduler
        self.store = ColdStore(folder)
        self._policy: Momentum | None = None
        self._probed: Database | None = None
        self._loaded: Database | None = None
        self._version: tuple[Parts, int, ListRows] | None = None
        self._questions, self._saved, self._moved_s = 0, time.monotonic(), 0.0

    def start(
        self, now: Snapshot, known: TierRecord | None, sizes: TierSizes | None = None, lists: int | None = None
    ) -> None:
        """Continue with a record of this generation, or write the lists."""
        (centroids, digest), number = centroids_of(now), now.generation.number
        dimensions, total = now.manifest.dimensions, len(centroids[1])
        current = known if known is not None and (known.generation, known.centroids) == (number, digest) else None
        sizes = sizes or (known.sizes if known is not None else TierSizes())
        sizes.check(total)
        directions = centroid_directions(centroids, dimensions)
        self._drop()
        if current is None:
            lists = lists or (known.lists if known is not None else None)
            self.record = self._written(now, centroids)
            self.record.generation, self.record.centroids = number, digest
        else:
            self.record = current
        self.record.sizes, self.record.lists = sizes, lists or self.record.lists
        self._centroids, self._attributes = centroids, now.generation.attributes(0, dimensions)
        self._probed = probed(centroids, self._attributes)
        self.probed = self._scheduler.load(self._probed)
        self._policy = Momentum(self._scheduler, total, dimensions, memory=self._memory(current))
        self._policy.resume(self.record.last or [0] * total)
        self._moved_s = self.record.clock
        self._placement = Placement(self._policy, total, sizes, similar_lists(directions))
        self._placement.misses, self._placement.prefetched = self.record.counts.misses, self.record.counts.prefetched
        self._placement.put(self.record.warm[: sizes.warm], Tier.WARM)
        self._placement.put(self.record.hot[: sizes.hot], Tier.HOT)
        self._follow(Layout(self.record.upto), {})
        self.save()

    def _written(self, now: Snapshot, centroids: Centroids) -> TierRecord:
        """Write the lists of a version, and return a new record of them."""
        TierRecord.remove(self.folder)
        (self.folder / _MEMORY).unlink(missing_ok=True)
        rows, nbytes = [0] * len(centroids[1]), 0
        with step(f"writing the lists of {now.called}", len(now)) as writing:
            for number, found in all_lists(now.parts, centroids):
                self.store.write(number, found.arrays, durable=False)
                rows[number], nbytes = len(found), nbytes + found.nbytes
                writing.at(sum(rows), len(now))
            self.store.sync()
        stored = sum(self.store.path(number).stat().st_size for number in np.flatnonzero(rows).tolist())
        upto = int(now.parts.sequence[-1]) if len(now) else 0
        return TierRecord(0, "", upto, rows, nbytes, stored)

    def _memory(self, current: TierRecord | None) -> State | None:
        """Return the momentum that was saved with a record, if there is any."""
        path = self.folder / _MEMORY
        if current is None or not path.exists():
            return None
        try:
            return load_state(path)
        except DamagedDataError as error:
            raise DamagedDataError(f"{error}; {_advice(self.folder)}, and forgets the momentum") from error

    def close(self, *, save: bool = True) -> None:
        """Write momentum and record, unless opening failed, and free the devices."""
        try:
            if save:
                self.save()
        finally:
            self._drop()

    def _drop(self) -> None:
        """Free the devices."""
        for database in (self._loaded, self._probed):
            self._unload(database)
        self._loaded = self._probed = None
        if self._policy is not None:
            self._policy.close()
            self._policy = None

    def _unload(self, database: Database | None) -> None:
        if database is not None:
            self._scheduler.unload(DatabaseHandle(database))

    def save(self) -> None:
        """Write momentum and record."""
        if self._policy is None:
            return
        self._saved = time.monotonic()
        self._policy.memory.save(self.folder / _MEMORY)
        self.record.last = self._policy.ranks().tolist()
        self.record.write(self.folder)

    def newer(self, parts: Parts, upto: int) -> ListRows:
        """Return the rows of a version that are in no file yet; the ones of the last version are kept."""
        known = self._version
        if known is not None and known[0] is parts and known[1] == upto:
            return known[2]
        rows, _ = newer_lists(parts, upto, self._centroids)
        self._version = parts, upto, rows
        return rows

    def read(self, number: int, upto: int) -> ListRows:
        """Return the rows of a list from its file."""
        if not self.record.rows[number]:
            dimensions = int(self._attributes["dimensions"])
            nits = np.zeros((0, (dimensions + 1) // 2), np.uint8)
            return ListRows(np.zeros(0, np.int64), nits, np.zeros((0, dimensions), np.float16))
        try:
            return ListRows.of_arrays(self.store.read(number), self.store.path(number)).upto(upto)
        except DamagedDataError as error:
            raise DamagedDataError(f"{error}; {_advice(self.folder)}") from error

    def move(
        self,
        lists: tuple[int, ...],
        vector: npt.NDArray[np.float32],
        time_s: float,
        parts: Parts,
        read: Mapping[int, ListRows],
    ) -> None:
        """Move lists after a question.

        Parameters
        ----------
        lists, vector, time_s
            Lists that it used, its vector and its time.
        parts : Parts
            Version of the index that it asked.
        read : mapping of int to ListRows
            Lists that it read, with the rows up to `Layout.upto`.

        Raises
        ------
        DamagedDataError
            The file of a list is missing or damaged; the list stays cold.
        """
        if self._policy is None:
            return
        record, layout = self.record, self.layout
        # Questions of several threads may come here in another order.
        self._moved_s = max(self._moved_s, time_s)
        self._placement.use(lists, vector, self._moved_s)
        record.counts.misses, record.counts.prefetched = self._placement.misses, self._placement.prefetched
        self._questions += 1
        if self._questions % _SETTLE_EVERY == 0:
            self._placement.settle()
            ids, momentum = self._policy.hottest_momentum(record.sizes.hot)
            record.hottest = list(zip(ids.tolist(), np.asarray(momentum, np.float64).tolist(), strict=True))
        if len(self.newer(parts, layout.upto)) >= _NEWER_ROWS:
            layout, read = self._write_newer(parts), {}
        self._follow(layout, read, vector)
        if layout.upto != record.upto or time.monotonic() - self._saved >= _SAVE_EVERY_S:
            record.upto = layout.upto
            self.save()

    def _follow(
        self, before: Layout, read: Mapping[int, ListRows], vector: npt.NDArray[np.float32] | None = None
    ) -> None:
        """Bring the lists in memory, and the database of the hot ones, to where the placement puts them."""
        placement, held, failed = self._placement, {}, None
        for number in (*placement.members(Tier.HOT).tolist(), *placement.members(Tier.WARM).tolist()):
            rows = before.held.get(number) or read.get(number)
            try:
                held[number] = rows if rows is not None else self.read(number, before.upto)
            except DamagedDataError as error:
                placement.put([number], Tier.COLD)
                failed = error
        hot = tuple(placement.members(Tier.HOT).tolist())
        joined, database = before.rows, before.database
        if hot != before.hot:
            joined = ListRows.joined([held[number] for number in hot]) if hot else None
            database = joined.database(self._attributes) if joined is not None and len(joined) else None
            if database is not None and vector is not None:
                # Load it on a device now, and not when the next question comes.
                self._scheduler.run("mine", vector[None], database, k=1)
        self.layout = Layout(before.upto, held, hot, joined, database)
        record = self.record
        record.hot, record.warm = list(hot), sorted(held.keys() - set(hot))
        record.hot_bytes = sum(held[number].nbytes for number in hot)
        record.warm_bytes = sum(held[number].nbytes for number in record.warm)
        if self._loaded is not database:
            self._unload(self._loaded)
            self._loaded = database
        if failed is not None:
            raise failed

    def _write_newer(self, parts: Parts) -> Layout:
        """Add the rows that are in no file yet to the files of their lists; return the layout with them."""
        before = self.layout
        rows, numbers = newer_lists(parts, before.upto, self._centroids)
        held = dict(before.held)
        for number in np.unique(numbers).tolist():
            old = self.read(number, before.upto)
            new = ListRows.joined([old, rows.only(numbers == number)])
            stored = self.store.path(number).stat().st_size if len(old) else 0
            self.store.write(number, new.arrays)
            self.record.rows[number] = len(new)
            self.record.nbytes += new.nbytes - old.nbytes
            self.record.stored += self.store.path(number).stat().st_size - stored
            if number in held:
                held[number] = new
        return Layout(int(parts.sequence[-1]), held)


def _advice(tiers: Path) -> str:
    return f"`ninefold tiers {tiers.parent} --rebuild` writes all lists again"


def damage(folder: Path) -> list[str]:
    """Read all files of the tiers of an index; return the errors of damaged and missing ones, and what to do at last.

    Parameters
    ----------
    folder : Path
        Folder of the index.

    Raises
    ------
    UnavailableError
        The index has tiers, and the package zstandard is missing.
    """
    tiers = folder / FOLDER
    try:
        if (record := TierRecord.read(tiers)) is None:
            return []
    except DamagedDataError as error:
        return [str(error), _advice(tiers)]
    lists = [number for number, rows in enumerate(record.rows) if rows]
    with step(f"verifying the lists of {folder.name}", len(lists)) as verifying:
        store, found = ColdStore(tiers), []
        for number in lists:
            found += [str(error) for error in store.check([number])]
            verifying.advance()
    if (memory := tiers / _MEMORY).exists():
        try:
            load_state(memory)
        except DamagedDataError as error:
            found.append(str(error))
    return [*found, _advice(tiers)] if found else []
