"""Sources of an index's entries, one module per kind of source."""

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from . import contexts, files, stdlib, tables, vectors
from .declared import DeclaredField
from .entry import Entry, Kind, Skipped, checked

__all__ = ["KINDS", "DeclaredField", "Entry", "Kind", "Skipped", "checked", "contexts", "kind_of", "read", "vectors"]

#: Kinds of source in the order in which they are tried; the last one accepts any source.
KINDS = (stdlib.KIND, tables.JSON_LINES, tables.CSV, files.KIND)


def kind_of(source: str) -> Kind:
    """Return the first kind that claims a source of texts."""
    return next(kind for kind in KINDS if kind.claims(source))


def read(source: str, column: str | None = None, skipped: Skipped | None = None) -> list[Entry]:
    """Return the entries of a source of texts, in a fixed order; of entries with the same id, only the last.

    Ids, titles and texts are checked to be UTF-8 here, before any of them is embedded.

    Parameters
    ----------
    source : str
        ``"stdlib"``, a folder or file of text or Markdown, JSON lines (``.jsonl``, ``.ndjson``), or CSV (``.csv``,
        ``.tsv``).
    column : str, optional
        Field or column that holds the text, for JSON lines and CSV; ``"text"`` by default.
    skipped : Skipped, optional
        Account that counts or refuses the entries that cannot be indexed.

    Raises
    ------
    InputError
        If the source is empty, is missing or lacks the column, or if a strict `skipped` refuses an entry.
    """
    if not source:
        raise InputError("the source must not be empty; . is the current folder")
    kind = kind_of(source)
    if column is not None and not kind.columns:
        raise InputError(
            f"only JSON lines and CSV have columns; {printable(source)} is {kind.name}; leave out --column {column!r}"
        )
    if column == "":
        raise InputError("--column must name a column or field, not ''")
    entries: dict[str, Entry] = {}
    for entry in kind.read(source, column, skipped if skipped is not None else Skipped()):
        entries.pop(entry.id, None)  # the last entry with an id keeps its own place
        entries[entry.id] = entry
    return list(entries.values())
