"""Building of an index: read a source, embed, calibrate, quantise, and write the result as one generation."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host import sources
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import DeclaredField, Entry, Skipped
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import MODES, Mode
from ninefold.spec.progress import Step, step
from ninefold.spec.terminal import printable

from . import bounded, environment, locks, segments, tier_record, version1
from .atomic import new_folder, recover
from .embedding import embed_source, embedder
from .generations import BLOCK_ROWS, calibrated_scale, content_of, with_settings
from .locks import WriterLock
from .manifest import MANIFEST, VERSION, Manifest, locate, read_manifest
from .store import Store
from .tables import Generation
from .writer import Writer

__all__ = ["DEFAULT_MODE", "Built", "build", "check_target", "create"]

DEFAULT_MODE: Mode = "linear"
#: Names of all files that the folder of an index may hold.
_FILES = (
    version1.FILES
    | {MANIFEST, environment.DATA, environment.LOCK, locks.NAME, segments.FOLDER, tier_record.FOLDER}
    | bounded.FILES
)


@dataclass(frozen=True)
class Built:
    """Result of `build`.

    Attributes
    ----------
    folder : Path
        Folder of the index.
    manifest : Manifest
    generation : Generation
    rows, bytes : int
        Number of entries, and size of all files.
    skipped : Skipped
        Entries that were skipped, with their reasons.
    seconds : mapping of str to float
        Times of reading, embedding, calibrating and writing.
    """

    folder: Path
    manifest: Manifest
    generation: Generation
    rows: int
    bytes: int
    skipped: Skipped
    seconds: dict[str, float]


def build(
    source: str,
    name: str,
    *,
    column: str | None = None,
    fields: Sequence[DeclaredField] = (),
    mode: Mode = DEFAULT_MODE,
    vectors: bool = True,
    force: bool = False,
    strict: bool = False,
    max_entries: int | None = None,
) -> Built:
    """Index a source.

    Finished embeddings are kept in the cache, so the next call continues after an interruption. The index itself
    appears complete or not at all. New content that replaces old content also appears all at once.

    Parameters
    ----------
    source : str
        ``"stdlib"``, a folder or file of text or Markdown, ``.jsonl``, ``.csv``, ``.npy`` vectors, or ``.bin`` records.
    name : str
        Path if it contains a ``/``, otherwise a name in the data folder.
    column : str, optional
        Field or column that holds the text, for JSON lines and CSV.
    fields : sequence of DeclaredField
        Fields of JSON lines and CSV that get a column of their own, for filters. Entries with other types are skipped.
    mode : {'tanh', 'linear'}
        Thresholds of the quantiser.
    vectors : bool
        Also keep float16 vectors, for reranking and evaluation.
    force : bool
        Replace an existing index.
    strict : bool
        Raise an error for the first entry that would be skipped.
    max_entries : int, optional
        Largest number of entries, now and later; see `Index.bound`.

    Returns
    -------
    Built

    Raises
    ------
    InputError
        For a source without entries, invalid values, or a name that is taken.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if max_entries is not None and max_entries < 1:
        raise InputError(f"max_entries must be at least 1, not {max_entries}")
    target = locate(name)
    recover(target)
    check_target(target, force, "--update changes it, --force replaces it")
    _check_writable(target)
    skipped, clock = Skipped(strict, _once(fields)), _Clock()
    given = None
    if sources.vectors.claims(source):
        given = _vectors(source, column, fields, vectors)
    elif sources.contexts.claims(source):
        fields = _no_fields(source, column, fields) or sources.contexts.FIELDS
        given = _contexts(source)
    clock.lap("read")
    if given is None:
        given = _texts(source, column, skipped, clock, max_entries)
    _check_count(len(given.entries), max_entries, source)
    with Scheduler() as scheduler:
        with step("choosing the scale"):
            scale = calibrated_scale(scheduler, given.rows, mode, source)
        clock.lap("calibrate")
        declared = {field.name: field.type for field in fields}
        manifest = Manifest(given.rows.shape[1], given.model, vectors, declared, given.contexts)
        generation = Generation(1, mode, scale, source, skipped.count, version("ninefold"))
        content = _New(scheduler, given.entries, given.rows, generation, max_entries)
        # Checked again at the end, since another process may take the name meanwhile.
        generation = _publish(target, manifest, content, lambda: check_target(target, force))
    clock.lap("write")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Built(target, manifest, generation, len(given.rows), size, skipped, clock.laps)


@dataclass(frozen=True)
class _Given:
    """Entries of a source, their vectors, and the model that made them; empty for given vectors and context vectors."""

    entries: Sequence[Entry]
    rows: npt.NDArray[Any]
    model: str = ""
    contexts: bool = False


def _once(fields: Sequence[DeclaredField]) -> tuple[DeclaredField, ...]:
    """Return declared fields; raise `InputError` for one that is declared twice."""
    names = [field.name for field in fields]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"the field {twice!r} is declared twice")
    return tuple(fields)


def _vectors(source: str, column: str | None, fields: Sequence[DeclaredField], keep: bool) -> _Given:
    """Read a source of vectors."""
    _no_fields(source, column, fields)
    rows = _vectors_of(source, keep)
    return _Given([Entry(str(row), f"row {row}", "") for row in range(len(rows))], rows)


def _no_fields(source: str, column: str | None, fields: Sequence[DeclaredField]) -> Sequence[DeclaredField]:
    """Return no fields; raise `InputError` if a column or a field of a source of vectors is asked for."""
    if column is not None:
        raise InputError(f"{printable(source)} holds vectors and has no columns; leave out --column {column!r}")
    if fields:
        raise InputError(f"{printable(source)} holds vectors and has no fields; leave out --field {fields[0].name!r}")
    return fields


def _contexts(source: str) -> _Given:
    """Read a source of context vectors."""
    with step(f"reading {source}"):
        records = sources.contexts.load(source)
        return _Given(sources.contexts.entries_of(records), sources.contexts.vectors_of(records), contexts=True)


def _check_count(entries: int, max_entries: int | None, source: str) -> None:
    """Raise `InputError` if a source holds more entries than the index may."""
    if max_entries is not None and entries > max_entries:
        raise InputError(f"{printable(source)} holds {entries:,} entries, and the index at most {max_entries:,}")


def _texts(source: str, column: str | None, skipped: Skipped, clock: _Clock, max_entries: int | None) -> _Given:
    """Read a source of texts, and embed them."""
    kind = sources.kind_of(source)
    if skipped.declared and not kind.columns:
        name = skipped.declared[0].name
        raise InputError(
            f"only JSON lines and CSV have fields; {printable(source)} is {kind.name}; leave out --field {name!r}"
        )
    with step(f"reading {source}"):
        entries = sources.read(source, column, skipped)
    if not entries:
        raise InputError(f"nothing to index in {printable(source)}: {skipped.account()}")
    _check_count(len(entries), max_entries, source)  # before they are embedded
    for field in skipped.declared:
        if not any(field.name in entry.fields for entry in entries):
            skipped.notes.append(f"no entry has the field {printable(field.name)}, which is declared")
    clock.lap("read")
    sentences = [entry.sentence for entry in entries]
    with step(f"embedding {source}", len(sentences)) as embedding:
        rows = embed_source(sentences, embedding.at)
    clock.lap("embed")
    return _Given(entries, rows, embedder().model.digest)


@dataclass(frozen=True)
class _New:
    """Entries and vectors of a new generation."""

    scheduler: Scheduler
    entries: Sequence[Entry]
    rows: npt.NDArray[Any]
    generation: Generation
    max_entries: int | None

    def write(self, store: Store, written: Step) -> Generation:
        """Make them the whole content of a store."""
        keep = store.manifest.vectors
        content = content_of(self.scheduler, _kept(self.rows) if keep else self.rows, self.generation, keep, written)

        def measure(database: Database) -> Generation:
            return with_settings(self.scheduler, content.generation, database)

        writer = Writer(store)
        try:
            return writer.replace(
                content.generation, self.entries, content.columns, content.centroids, measure, self.max_entries
            )
        finally:
            writer.close()


def _publish(target: Path, manifest: Manifest, content: _New, check: Callable[[], None]) -> Generation:
    """Write a new generation into the index that has the name, or a new index that takes the name at once."""
    with step(f"writing {target}", len(content.rows)) as written:
        store = _same(target, manifest)
        if store is not None:
            with contextlib.closing(store):
                return content.write(store, written)
        with contextlib.ExitStack() as held:
            if (target / environment.DATA).is_file():
                lock = WriterLock(target)
                lock.take()
                held.callback(lock.release)
            with new_folder(target, check) as folder:
                manifest.write(folder)
                with contextlib.closing(create(folder, manifest)) as store:
                    return content.write(store, written)


def create(folder: Path, manifest: Manifest) -> Store:
    """Return the store of an empty folder; a generation is to be written into it."""
    (folder / segments.FOLDER).mkdir()
    return Store(folder, manifest, create=True)


def _same(target: Path, manifest: Manifest) -> Store | None:
    """Return the store of an index with the same identity, or None if there is none, or a damaged one."""
    try:
        content = read_manifest(target)
        if content["version"] != VERSION or Manifest.of(content, target) != manifest:
            return None
        if not environment.readable(target):
            return None
        store = Store(target, manifest)
    except (InputError, DamagedDataError):
        return None
    try:
        with store.environment.reading() as transaction:
            store.tables(transaction).catalogue()
    except DamagedDataError:
        store.close()
        return None
    return store


def _kept(rows: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    """Return rows as the float16 vectors that an index keeps; they have been checked."""
    if rows.dtype == np.float16:
        return np.ascontiguousarray(rows)
    kept = np.empty(rows.shape, np.float16)
    for block in _blocks(len(rows)):
        kept[block] = np.asarray(rows[block], np.float32)
    return kept


def check_target(target: Path, force: bool, instead: str = "--force replaces it") -> None:
    """Raise `InputError` unless an index may be written there; `instead` says what to do about one that is there."""
    if not target.exists() and not target.is_symlink():
        return
    # A damaged index may lack either file.
    there = any((target / name).is_file() for name in (MANIFEST, environment.DATA))
    if not target.is_dir() or (any(target.iterdir()) and not there):
        raise InputError(f"{target} exists and is not an index, so it is not replaced")
    if any(target.iterdir()) and not force:
        raise InputError(f"there is an index {target}; {instead}")
    if foreign := sorted({path.name for path in target.iterdir()} - _FILES):
        raise InputError(f"{target} holds {foreign[0]}, which is not a file of an index, so it is not replaced")


def _check_writable(target: Path) -> None:
    """Raise `InputError` before any embedding if `target` cannot be created."""
    folder = Path(os.path.realpath(target)).parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"cannot create {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot create {target}: the folder {folder} is read-only for this user")


def _vectors_of(source: str, keep: bool) -> npt.NDArray[Any]:
    rows = sources.vectors.load(source)
    if rows.ndim == 1 or len(rows) == 0:
        what = "it has no rows" if rows.ndim == 2 else "it is a single vector"
        raise InputError(f"{printable(source)} must have shape (N, D) with N of at least 1, not {rows.shape}: {what}")
    for block in _blocks(len(rows)):
        values = sources.vectors.check_rows(rows[block], source, block.start)
        if keep:
            sources.vectors.check_kept(values, source, block.start)
    return rows


def _blocks(total: int) -> Iterator[slice]:
    for first in range(0, total, BLOCK_ROWS):
        yield slice(first, min(first + BLOCK_ROWS, total))


class _Clock:
    """Time since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
