"""Sources of an index's entries: one module a kind of source."""

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from . import files, stdlib, tables, vectors
from .entry import Entry, Kind, Skipped

__all__ = ["KINDS", "Entry", "Kind", "Skipped", "kind_of", "read", "vectors"]

#: Asked in this order; the last one takes what is left.
KINDS = (stdlib.KIND, tables.JSON_LINES, tables.CSV, files.KIND)


def kind_of(source: str) -> Kind:
    """Return the kind that claims a source of texts."""
    return next(kind for kind in KINDS if kind.claims(source))


def read(source: str, column: str | None = None, skipped: Skipped | None = None) -> list[Entry]:
    """Return the entries of a source of texts, in a fixed order; of entries with the same id, the last.

    Everything that an index writes is checked here, before any of it is embedded: ids, titles and texts are UTF-8.

    Parameters
    ----------
    source : str
        ``"stdlib"``, a folder of text and Markdown, such a file, JSON lines (``.jsonl``, ``.ndjson``) or CSV (``.csv``,
        ``.tsv``).
    column : str, optional
        Field or column that holds the text, for JSON lines and CSV; ``"text"`` when left out.
    skipped : Skipped, optional
        Counts or refuses what cannot be used.

    Raises
    ------
    InputError
        When the source is empty, is missing, or has no such column; when something would be skipped and must not be.
    """
    if not source:
        raise InputError("a source must be named, not ''; . is the current folder")
    kind = kind_of(source)
    if column is not None and not kind.columns:
        raise InputError(
            f"only JSON lines and CSV have columns; {printable(source)} is {kind.name}, so leave out {column!r}"
        )
    if column == "":
        raise InputError("--column must name a column or field, not ''")
    entries: dict[str, Entry] = {}
    for entry in kind.read(source, column, skipped if skipped is not None else Skipped()):
        entries.pop(entry.id, None)  # the last one keeps its place
        entries[entry.id] = entry
    return list(entries.values())
