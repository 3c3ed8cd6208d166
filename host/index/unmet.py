"""Sentence for a filter that no entry meets: the fields that entries have, with the types of their values."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec.terminal import printable

from .conditions import kind_of

if TYPE_CHECKING:
    from .index import Index
    from .read import Snapshot

__all__ = ["unmet"]

#: Most entries whose fields are read, so that a server answers at once however large its index is.
_READ: Final = 10_000


def unmet(entries: Index | Snapshot) -> str:
    """Return why a filter may have found nothing: the fields of the entries, and the type of each.

    The type of a declared field is the declared one; of any other, the kinds of its values in the first 10,000 entries.
    """
    found: dict[str, set[str]] = {name: {kind} for name, kind in entries.manifest.fields.items()}
    declared = set(found)
    for entry in islice(entries, _READ):
        for name, value in entry.fields.items():
            if name not in declared:
                found.setdefault(name, set()).update(_kinds(value))
    if not found:
        return "no entry meets the filter; entries have no fields"
    known = ", ".join(f"{name} ({' or '.join(sorted(kinds)) or 'null'})" for name, kinds in sorted(found.items()))
    which = "" if len(entries) <= _READ else f"the first {_READ:,} "
    return printable(f"no entry meets the filter; {which}entries have the fields {known}")


def _kinds(value: Any) -> set[str]:
    """Return the kinds of a value, or of the elements of a list, as filters tell them apart."""
    values = value if isinstance(value, list) else [value]
    return {kind for one in values if (kind := kind_of(one))}
