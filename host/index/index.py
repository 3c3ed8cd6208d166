"""Index: a database of entries that changes while it is searched."""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry, checked, contexts
from ninefold.host.sources.vectors import check_kept, check_rows
from ninefold.numerics.vector6d import Vector6DColumns, decode
from ninefold.spec.data import Database, Result
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.terminal import printable

from . import bounded
from .atomic import held, recover
from .bounded import NEAR, BoundStatus
from .context_search import search_contexts
from .duplicates import check_overlap
from .embedding import embed_entries
from .environment import DATA, readable
from .manifest import Manifest, locate, read_manifest
from .manifest import called as name_of
from .read import Hits, Query, Records, SearchOptions, Snapshot, _Query
from .segments import Segment
from .store import Store
from .tables import Generation, Name, Tables, Written, pausing
from .version1 import Version1
from .writer import Durability, Writer

if TYPE_CHECKING:
    from ninefold.host.tiers import TierSizes

    from .tiered import Tiers

__all__ = ["Index", "TierOptions"]


class TierOptions(TypedDict, total=False):
    """Options of `Tiers`, which describes them."""

    sizes: TierSizes | None
    lists: int | None
    rebuild: bool


class Index:
    """Open index; `open` and `build` make one.

    Every read is of the last commit, of whichever process; `snapshot` keeps one version. Close a writer, or use it as a
    context manager: closing commits queued writes and waits for the upkeep of segments.

    Parameters
    ----------
    folder : Path
        Folder of the index.
    content : Store or Version1
        Its content.
    called : str
        Name in errors and reports; by default the name in the data folder, or the path.
    durability : {'commit', 'interval'} or None
        Durability of writes; None for an index that is only read.
    """

    def __init__(
        self, folder: Path, content: Store | Version1, called: str = "", durability: Durability | None = None
    ) -> None:
        self.folder = folder
        self.called = called or name_of(folder)
        self._content = content
        self._writer = None if durability is None or isinstance(content, Version1) else Writer(content, durability)
        self._finalizer = weakref.finalize(self, _close, content, self._writer)
        self._tiers: Tiers | None = None
        self._own_scheduler: Scheduler | None = None
        self._routing = threading.Lock()

    @classmethod
    def open(
        cls,
        name: str,
        mode: Literal["r", "w"] = "r",
        *,
        durability: Durability = "commit",
        called: str = "",
    ) -> Index:
        """Open an index.

        Headers and sizes of its files are checked; `verify` reads and checks all content.

        Parameters
        ----------
        name : str
            Path if it contains a ``/``, otherwise a name in the data folder.
        mode : {'r', 'w'}
            Read only, or write too. There is one writer at a time, and any number of readers.
        durability : {'commit', 'interval'}
            With ``"commit"``, entries survive a loss of power once a write returns. With ``"interval"``, writes are
            queued and committed together at most every 100 ms; the last 100 ms may be lost, and are not seen before.
        called : str
            Name in errors and reports; by default the name in the data folder, or the path.

        Raises
        ------
        InputError
            If there is no index of that name, or it has a format that is read only.
        DamagedDataError
            If it is damaged or not an index; the message names the file.
        """
        if mode not in ("r", "w"):
            raise InputError(f"mode must be one of r, w, not {mode!r}")
        folder = locate(name)
        while True:
            recover(folder)
            with held(folder) as replaced:
                try:
                    content = _opened(folder)
                except (DamagedDataError, InputError, FileNotFoundError):
                    if not replaced():
                        raise
                    continue
                if not replaced():
                    break
            if isinstance(content, Store):
                content.close()
        if mode == "w" and isinstance(content, Version1):
            convert = f"`ninefold index compact {name}` converts it"
            raise InputError(f"{name_of(folder)} has format version 1, which is read only; {convert}")
        return cls(folder, content, called, durability if mode == "w" else None)

    def close(self) -> None:
        """Commit queued writes, wait for the upkeep of segments, and close the files."""
        self.close_tiers()
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading.

    @property
    def manifest(self) -> Manifest:
        """Fixed identity: dimensions, model, and what is kept."""
        return self._content.manifest

    @property
    def read_only(self) -> bool:
        """True for format version 1, which no writer takes."""
        return isinstance(self._content, Version1)

    @property
    def generation(self) -> Generation:
        """Scale, mode and settings of all nits."""
        with self.snapshot() as snapshot:
            return snapshot.generation

    def snapshot(self) -> Snapshot:
        """Return the version of the last commit, which stays as it is while the index changes.

        Close it soon, or use it as a context manager: LMDB keeps the pages of every version that is read.
        """
        if not self._finalizer.alive:
            raise InputError(f"{self.called} is closed")
        if isinstance(self._content, Version1):
            old = self._content
            records = Records(old.entry, old.row, old.entries, lambda: None, self._refuse_copy)
            return Snapshot(old.manifest, old.generation, old.parts, records, self.called)
        if self._content.environment.replaced:
            self._reopen()
        store = self._content
        tables, version, end = store.begin()

        def copy(path: Path) -> None:
            store.environment.copy(path, tables.transaction)

        use = None if tables.bounds.most is None else functools.partial(bounded.send, store.folder)
        records = Records(
            tables.entry, tables.sequence, tables.all_entries, end, copy, tables.redirects, tables.kept, use
        )
        return Snapshot(store.manifest, version.catalogue.generation, version.parts, records, self.called)

    def _refuse_copy(self, _: Path) -> None:
        raise InputError(
            f"{self.called} has format version 1, which has no backups; `ninefold index compact` converts it"
        )

    def _reopen(self) -> None:
        """Open the folder that has taken the name of this index, or continue after a fork."""
        if self._writer is not None:
            raise InputError(f"{self.called} was replaced or its process forked while it was open for writing")
        content = _opened(self.folder)
        self._finalizer()
        self._content = content
        self._finalizer = weakref.finalize(self, _close, content, None)

    def __len__(self) -> int:
        with self.snapshot() as snapshot:
            return len(snapshot)

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries of one snapshot in the order in which they were added."""
        with self.snapshot() as snapshot:
            yield from snapshot

    def get(self, name: str) -> Entry | None:
        """Return the entry with an id, or None; of a merged entry, the one that was kept."""
        with self.snapshot() as snapshot:
            return snapshot.get(name)

    def entry(self, row: int) -> Entry:
        """Return the entry of a row of the last commit; see `Snapshot.entry`."""
        with self.snapshot() as snapshot:
            return snapshot.entry(row)

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """Float vectors of the last commit, float16 (rows, dimensions); `InputError` if the index keeps none."""
        with self.snapshot() as snapshot:
            return snapshot.vectors

    @property
    def database(self) -> Database:
        """One `Database` of the last commit; see `Snapshot.database`."""
        with self.snapshot() as snapshot:
            return snapshot.database

    @overload
    def search(self, query: Query, k: int = 10, *, route: bool = False, **options: Unpack[SearchOptions]) -> Hits: ...

    @overload
    def search(
        self, query: list[_Query], k: int = 10, *, route: bool = False, **options: Unpack[SearchOptions]
    ) -> list[Hits]: ...

    def search(
        self, query: Any, k: int = 10, *, route: bool = False, **options: Unpack[SearchOptions]
    ) -> Hits | list[Hits]:
        """Find the entries nearest to a query, or to each query of a list; see `Snapshot.search`.

        Parameters
        ----------
        query, k, **options
            As in `Snapshot.search`.
        route : bool
            Ask the tiers of the index, stage by stage; see `Tiers.search`. Sizes and thresholds stay as they were.
            Only ``rerank``, ``device``, ``strict`` and ``scheduler`` may be given with it. `close` keeps the momentum.
        """
        if route:
            return self._routed(query, k, options)
        with self.snapshot() as snapshot:
            found: Hits | list[Hits] = snapshot.search(query, k, **options)
            return found

    def tiers(self, scheduler: Scheduler, **options: Unpack[TierOptions]) -> Tiers:
        """Open the tiers of the index on a scheduler; see `Tiers` for options and errors. Close them when done."""
        from .tiered import Tiers

        return Tiers(self.folder, self.snapshot, scheduler, **options)

    def _routed(self, query: Any, k: int, options: SearchOptions) -> Hits | list[Hits]:
        if unknown := next((name for name in options if name not in SearchOptions.__annotations__), None):
            raise TypeError(f"search() got an unexpected keyword argument {unknown!r}")
        for name in ("threshold", "recall", "scan", "oversample", "macro", "micro", "where"):
            if (value := options.get(name)) is not None:
                raise InputError(f"route chooses what is scanned: leave out {name} {value}")
        given: dict[str, Any] = {n: options[n] for n in ("rerank", "device", "strict") if n in options}
        with self._routing:
            scheduler = options.get("scheduler")
            if self._tiers is not None and scheduler not in (None, self._tiers.scheduler):
                self._close_tiers()
            if self._tiers is None:
                own = None if scheduler is not None else Scheduler()
                try:
                    self._tiers = self.tiers(scheduler or own)  # type: ignore[arg-type]
                except BaseException:
                    if own is not None:
                        own.close()
                    raise
                self._own_scheduler = own
            tiers = self._tiers
        if isinstance(query, list):
            return [tiers.search(one, k, **given) for one in query]
        return tiers.search(query, k, **given)

    def close_tiers(self) -> None:
        """Close what searches with ``route`` opened, and keep its momentum; before their scheduler is closed."""
        with self._routing:
            self._close_tiers()

    def _close_tiers(self) -> None:
        tiers, self._tiers = self._tiers, None
        if tiers is not None:
            tiers.close()
            if self._own_scheduler is not None:
                self._own_scheduler.close()

    def search_contexts(self, records: Vector6DColumns, k: int = 10, **options: Any) -> list[Hits]:
        """Find the entries most similar to each record; see `ninefold.host.index.context_search`."""
        with self.snapshot() as snapshot:
            return search_contexts(snapshot, records, k, **options)

    def mine(self, q: npt.NDArray[np.float32], **options: Any) -> Result:
        """Run the operator ``mine`` on the last commit; see `Snapshot.mine`."""
        with self.snapshot() as snapshot:
            return snapshot.mine(q, **options)

    def describe(self) -> Mapping[str, Any]:
        """Return the fields of a report: folder, source, rows, dimensions, mode and scale."""
        with self.snapshot() as snapshot:
            return snapshot.describe()

    def verify(self, *, pages: bool = True) -> None:
        """Check the content of every segment, and that every entry has its row and its record.

        Parameters
        ----------
        pages : bool
            First read all pages of the tables in another process, which LMDB ends if they are damaged. Otherwise it
            would end this one.

        Raises
        ------
        DamagedDataError
            Something is damaged or missing; the message names it.
        """
        if isinstance(self._content, Version1):
            return  # checked when it was opened
        if pages and not readable(self.folder):
            advice = f"`ninefold doctor {self.folder}` says what can be saved"
            raise DamagedDataError(f"{self.folder / DATA} is damaged: it cannot be read to the end; {advice}")
        with self._content.reading() as (tables, version):
            for listed in version.catalogue.segments:
                Segment.verify(self._content.segment_folder, listed.digest)
            tables.verify(version.parts.sequence)

    @property
    def max_entries(self) -> int | None:
        """Number of entries that the index may hold; None without a bound."""
        return self.bounds.most

    @property
    def bounds(self) -> BoundStatus:
        """Bound of the last commit, and the use of its places."""
        if isinstance(self._content, Version1):
            return BoundStatus()
        with self._content.reading() as (tables, _):
            return tables.bounds.status()

    # Writing.

    @property
    def writer(self) -> Writer:
        """Writer of the index; raises `InputError` if it is open for reading."""
        if not self._finalizer.alive:
            raise InputError(f"{self.called} is closed")
        if self._writer is None:
            raise InputError(f'{self.called} is open for reading; open it with mode "w" to write')
        return self._writer

    def upsert(
        self, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None = None, *, key: str | None = None
    ) -> Written:
        """Add entries; one whose id is there already replaces that entry.

        Parameters
        ----------
        entries : iterable of Entry
            Of entries with the same id, the last is kept.
        vectors : float array of shape (n, D), optional
            Their vectors, for an index of vectors. An index of texts embeds its entries itself, and takes vectors that
            its model made. An index of context vectors uses their embeddings, and takes no others.
        key : str, optional
            Name of this write. If the last 4,096 named writes include one of the same name, this one changes nothing,
            and returns the result of the first: so a write whose outcome is not known can be repeated.

        Returns
        -------
        Written
            Number of added and of replaced entries; final once they are committed.

        Raises
        ------
        InputError
            The index is open for reading or another process writes it, values are invalid, or the key was
            given to a write of other content.
        OSError
            The disk is full or cannot be written; nothing is changed.
        """
        writer, given = self.writer, [self._checked(entry) for entry in pausing(entries)]
        name = None if key is None else Name.of(key, "upsert", given, vectors)
        if name is not None and (known := writer.known(name)) is not None:
            return known
        if self.manifest.contexts:
            if vectors is not None:
                raise InputError(
                    f"{self.called} holds context vectors, whose embeddings are used: leave out the vectors"
                )
            rows = contexts.vectors_of(decode(b"".join(entry.context for entry in given)))
        elif vectors is None:
            if not self.manifest.model:
                raise InputError(f"{self.called} holds vectors: upsert needs the vectors of its entries")
            rows = embed_entries(given, self.manifest.model, self.called)
        else:
            rows = np.asarray(vectors)
        if rows.shape != (len(given), self.manifest.dimensions) or rows.dtype.kind != "f":
            wanted = (len(given), self.manifest.dimensions)
            raise InputError(f"vectors must be floats of shape {wanted}, not {rows.dtype.name} {rows.shape}")
        values: npt.NDArray[Any] = check_rows(rows, "the vectors")
        if self.manifest.vectors:
            values = check_kept(values, "the vectors")
        last = {entry.id: at for at, entry in enumerate(given)}
        kept = sorted(last.values())
        chosen, values = [given[at] for at in kept], values[kept]
        if not chosen and key is None:
            return Written()

        def add(tables: Tables, written: Written) -> None:
            if chosen:
                tables.add(chosen, values, written)

        return writer.apply(add, name)

    def _checked(self, entry: Entry) -> Entry:
        """Return an entry as sources give it: without surrounding blanks, and with declared fields in their types."""
        try:
            self._check_context(entry)
            return checked(entry, self.manifest.declared, texts=bool(self.manifest.model))
        except InputError as error:
            raise InputError(f"entry {printable(str(entry.id))} cannot be indexed: {error}") from error

    def _check_context(self, entry: Entry) -> None:
        """Raise `InputError` unless an entry has one record in an index of context vectors, and none in others."""
        if not self.manifest.contexts:
            if entry.context:
                raise InputError("it has a context, and the index holds no context vectors")
            return
        try:
            records = decode(entry.context)
        except DamagedDataError as error:
            raise InputError(f"its context is wrong: {error}") from error
        if len(records) != 1:
            raise InputError(f"its context must be one record, not {len(records)}")
        contexts.check(records, "its context")

    def delete(self, names: Iterable[str], *, key: str | None = None) -> Written:
        """Remove the entries with these ids; ids without an entry are ignored.

        Parameters
        ----------
        names : iterable of str
            The ids.
        key : str, optional
            Name of this write; see `upsert`.

        Returns
        -------
        Written
            Number of removed entries; final once they are committed.
        """
        given = list(names)
        name = None if key is None else Name.of(key, "delete", given)
        if name is not None and (known := self.writer.known(name)) is not None:
            return known
        return self.writer.apply(lambda tables, written: tables.remove(given, written), name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Written]:
        """Commit all writes of the block at its end, together; if the block raises an error, none of them."""
        with self.writer.group() as written:
            yield written

    def flush(self) -> None:
        """Commit all queued writes."""
        self.writer.flush()

    def compact(self) -> None:
        """Merge the tail and all segments into one segment without dead rows."""
        self.writer.compact()

    def bound(self, max_entries: int | None) -> Written:
        """Set the largest number of entries, at once and for all later commits; None removes the bound.

        A full index evicts entries as others are added, in the same commit: the operator ``eviction_score`` orders
        them by their uses. None of the newest entries is evicted while there are others; see
        `ninefold.host.index.bounded`. Without a bound, uses and anchors are forgotten.

        Raises
        ------
        InputError
            The bound is not positive, or not above the number of anchored entries.
        """
        return self.writer.apply(lambda tables, written: tables.bound(max_entries, written))

    def anchor(self, names: Iterable[str], *, anchored: bool = True) -> int:
        """Keep the entries with these ids from being evicted or merged into others, or release them.

        Replacing an entry keeps its anchor; deleting it ends it.

        Returns
        -------
        int
            Number of entries that were not so before; ids without an entry are ignored.

        Raises
        ------
        InputError
            The index has no bound, or no place would be left for other entries; nothing is changed.
        """
        given, changed = list(names), [0]

        def anchor(tables: Tables, _: Written) -> None:
            changed[0] = tables.anchor(given, anchored)

        self.writer.apply(anchor)
        self.flush()
        return changed[0]

    def merge_duplicates(self, overlap: float = NEAR, *, scheduler: Scheduler | None = None) -> int:
        """Merge entries that nearly repeat others, in one commit, and compact.

        Rows are compared with their neighbours in the order of Hilbert curves. Of entries that overlap, anchored ones
        stay, and otherwise the most used one, or the oldest. The id of a merged entry then answers the kept one, until
        either is changed or deleted.

        Parameters
        ----------
        overlap : float
            Least overlap (squared cosine of the vectors) of a pair, above 0 and at most 1.
        scheduler : Scheduler, optional

        Returns
        -------
        int
            Number of entries that were merged into others.
        """
        least = check_overlap(overlap)
        with contextlib.ExitStack() as stack:
            chosen = scheduler if scheduler is not None else stack.enter_context(Scheduler())
            merged = self.writer.merge_duplicates(chosen, least)
        self.compact()
        return merged


def _opened(folder: Path) -> Store | Version1:
    content = read_manifest(folder)
    if content["version"] == 1:
        return Version1.open(folder, content)
    store = Store(folder, Manifest.of(content, folder))
    try:
        with store.reading():
            return store
    except BaseException:
        store.close()
        raise


def _close(content: Store | Version1, writer: Writer | None) -> None:
    try:
        if writer is not None:
            writer.close()
    finally:
        if isinstance(content, Store):
            content.close()
