"""Update of an index from a source: only what is new or has changed is embedded and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host import sources
from ninefold.host.sources import Entry, Skipped
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable

from .embedding import check_model, embed_source
from .index import Index
from .read import Snapshot
from .tables import Written

__all__ = ["Updated", "changed", "update"]


@dataclass(frozen=True)
class Updated:
    """Result of `update`.

    Attributes
    ----------
    called : str
        Name of the index.
    written : Written
        Number of entries added, replaced and removed.
    unchanged : int
        Number of entries that were there already.
    skipped : Skipped
        Entries that were skipped, with their reasons.
    """

    called: str
    written: Written
    unchanged: int
    skipped: Skipped


def update(
    source: str,
    name: str,
    *,
    column: str | None = None,
    delete: bool = False,
    strict: bool = False,
    max_entries: int | None = None,
) -> Updated:
    """Add what is new in a source to an index, and replace what has changed, in one commit.

    Parameters
    ----------
    source, column : str
        As `build` takes them.
    name : str
        Index to update.
    delete : bool
        Also remove the entries that the source does not hold.
    strict : bool
        Raise an error for the first entry that would be skipped.
    max_entries : int, optional
        Set the largest number of entries, in the same commit; see `Index.bound`.

    Raises
    ------
    InputError
        The source and the index do not fit, or another process writes the index.
    """
    skipped = Skipped(strict)
    with Index.open(name, "w") as index, index.snapshot() as before:
        vectors: npt.NDArray[Any] | None = None
        if sources.vectors.claims(source):
            entries, differing, vectors = _changed_vectors(source, index, before)
        elif sources.contexts.claims(source) or index.manifest.contexts:
            entries, differing = _changed_contexts(source, index, before)
        else:
            check_model(index.manifest.model, index.called) if index.manifest.model else _refuse(index, source)
            skipped.declared = index.manifest.declared
            with step(f"reading {source}"):
                entries = sources.read(source, column, skipped)
                if not entries:
                    raise InputError(f"nothing to index in {printable(source)}: {skipped.account()}")
                differing = changed(entries, before, delete=delete)
            vectors = _embedded(differing, source)
        gone: list[str] = []
        if delete:
            there = {entry.id for entry in entries}
            gone = [entry.id for entry in before if entry.id not in there]
        before.close()
        with step(f"writing {index.called}"), index.transaction() as written:
            # What makes room comes first: an upsert into a full index evicts entries at once.
            if gone:
                index.delete(gone)
            raised = max_entries is not None and index.max_entries is not None and max_entries > index.max_entries
            if raised:
                index.bound(max_entries)
            if differing:
                index.upsert(differing, vectors)
            if max_entries is not None and not raised:
                index.bound(max_entries)
    return Updated(index.called, written, len(entries) - len(differing), skipped)


def changed(entries: list[Entry], before: Snapshot, *, delete: bool) -> list[Entry]:
    """Return the entries that differ from an index, in which the entry that was kept stands for merged ones."""
    kept = {entry.id: before.kept(entry) for entry in entries} if next(before.redirects(), None) else {}
    differ = [entry for entry in entries if kept.get(entry.id) is None and before.get(entry.id) != entry]
    # What was merged into an entry that is replaced or deleted now is no longer there by it.
    lost = {entry.id for entry in differ}
    there = {entry.id for entry in entries}
    return [
        entry
        for entry in entries
        if entry.id in lost or ((by := kept.get(entry.id)) is not None and (by in lost or (delete and by not in there)))
    ]


def _refuse(index: Index, source: str) -> None:
    raise InputError(f"{index.called} holds vectors: it is updated from a .npy file, not from {printable(source)}")


def _embedded(entries: list[Entry], source: str) -> npt.NDArray[Any]:
    if not entries:
        return np.zeros((0, 0), np.float32)
    with step(f"embedding {source}", len(entries)) as embedding:
        return embed_source([entry.sentence for entry in entries], embedding.at)


def _changed_contexts(source: str, index: Index, before: Snapshot) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of a file of records, and those that differ from the index."""
    if not index.manifest.contexts:
        raise InputError(
            f"{index.called} holds no context vectors: it is not updated from records in {printable(source)}"
        )
    if not sources.contexts.claims(source):
        raise InputError(
            f"{index.called} holds context vectors: it is updated from a .bin file, not from {printable(source)}"
        )
    entries = sources.contexts.entries_of(sources.contexts.load(source))
    return entries, [entry for entry in entries if before.get(entry.id) != entry]


def _changed_vectors(source: str, index: Index, before: Any) -> tuple[list[Entry], list[Entry], npt.NDArray[Any]]:
    """Return the entries of a file of vectors, those that differ from the index, and their vectors."""
    if index.manifest.contexts:
        raise InputError(
            f"{index.called} holds context vectors: it is updated from a .bin file, not from {printable(source)}"
        )
    if index.manifest.model:
        raise InputError(f"{index.called} holds texts: it is not updated from vectors in {printable(source)}")
    rows = sources.vectors.load(source)
    if rows.ndim != 2 or rows.shape[1] != index.manifest.dimensions:
        wanted = index.manifest.dimensions
        raise InputError(f"{printable(source)} must have shape (N, {wanted}), as the index, not {rows.shape}")
    entries = [Entry(str(row), f"row {row}", "") for row in range(len(rows))]
    values = sources.vectors.check_rows(rows, source)
    if not index.manifest.vectors:
        return entries, entries, values  # what is there cannot be compared
    kept = sources.vectors.check_kept(values, source)
    there = {entry.id: row for row, entry in enumerate(before)}
    vectors = before.vectors
    changed = [row for row, e in enumerate(entries) if e.id not in there or (vectors[there[e.id]] != kept[row]).any()]
    return entries, [entries[row] for row in changed], values[changed]
