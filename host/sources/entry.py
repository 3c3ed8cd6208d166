"""Entries of a source, and an account of the skipped ones."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from .declared import DeclaredField

__all__ = ["LONGEST", "Entry", "Kind", "Skipped", "checked"]

#: Length of the longest id, title or text in characters, and of the JSON of all other fields in bytes. The model reads
#: about a thousand characters of a text; longer ones than this limit are other data, or several entries run together.
LONGEST = 1 << 20
#: Number of skipped entries that are named.
_NAMED = 5
#: Number of reasons or fields that are listed.
_LISTED = 20


@dataclass(frozen=True)
class Entry:
    """Entry of an index.

    Attributes
    ----------
    id : str
        Id given by the source, qualified name, or file and line.
    title : str
        Heading; may be empty.
    text : str
        Body.
    fields : mapping of str to value
        All other fields of the record, each a JSON value without NaN and infinities. Empty for prose.
    context : bytes
        Encoded ``Vector6D`` record (`ninefold.numerics.vector6d`); empty outside indexes of context vectors.
    """

    id: str
    title: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    context: bytes = field(default=b"", repr=False)

    @property
    def sentence(self) -> str:
        """Title and body, in the form that is embedded."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass
class Skipped:
    """Account of the parts of a source that are not indexed, with reasons.

    Attributes
    ----------
    strict : bool
        Raise an error for the first one instead.
    declared : tuple of DeclaredField
        Fields with one type each. Values are converted to it, and entries with other values are skipped.
    count : int
        Number of entries, files and linked folders that were skipped.
    reasons : Counter of str
        Number skipped for each reason.
    named : list of str
        First few, as ``where: why``, printable.
    further : list of str
        After those, the first one for each further reason.
    others : int
        Number of files below a folder that are neither text nor Markdown; never refused.
    hidden : int
        Number of files and folders whose name begins with a dot; never refused.
    notes : list of str
        Further choices that the user should know about, printable.
    """

    strict: bool = False
    declared: tuple[DeclaredField, ...] = ()
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    others: int = 0
    hidden: int = 0
    notes: list[str] = field(default_factory=list)
    _given: dict[str, str] = field(default_factory=dict, repr=False)

    def add(self, where: str, why: str, reason: str = "") -> None:
        """Count a skipped entry or file; raise `InputError` in strict mode.

        Parameters
        ----------
        where : str
            File, line or name; made printable here, as is `why`.
        why : str
            Full reason.
        reason : str
            Reason under which it is counted; `why` by default.
        """
        said = f"{printable(where)}: {printable(why)}"
        if self.strict:
            raise InputError(said)
        reason = reason or why
        self.count += 1
        if len(self.named) < _NAMED:
            self.named.append(said)
        elif reason not in self.reasons and len(self.further) < _LISTED:
            self.further.append(said)
        self.reasons[reason] += 1

    def accept(self, entry: Entry, where: str = "") -> Entry | None:
        """Return the entry with surrounding blanks removed, or count it and return None if it cannot be indexed.

        Of entries with the same id, the earlier one is counted as skipped and the later one returned; `read` drops the
        earlier one.

        Parameters
        ----------
        entry : Entry
        where : str
            Place where it was read, if the id does not state it.
        """
        where = where or entry.id
        try:
            entry = checked(entry, self.declared)
        except InputError as error:
            self.add(where, str(error), str(error).partition(", not ")[0])
            return None
        if (before := self._given.get(entry.id)) is not None:
            self.add(before, f"its id {entry.id!r} is given again at {where}", "id given again")
        self._given[entry.id] = where
        return entry

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report for the user."""
        named = [*self.named, *self.further]
        yield from (f"skipped {said}" for said in named)
        if self.count > len(named):
            reasons = [f"{printable(reason)} ({count})" for reason, count in self.reasons.most_common(_LISTED)]
            yield f"and {self.count - len(named)} more; in all: {', '.join(reasons)}"
        yield from self.notes

    def account(self) -> str:
        """Return why a source gave no entry."""
        if not self.count:
            return "it holds no entries"
        all_of_them = "the only one was" if self.count == 1 else f"all {self.count} were"
        return f"{all_of_them} skipped ({'; '.join([*self.named, *self.further])})"


def checked(entry: Entry, declared: Iterable[DeclaredField] = (), *, texts: bool = True) -> Entry:
    """Return an entry without surrounding blanks, and with the declared fields in their types.

    Parameters
    ----------
    entry : Entry
    declared : iterable of DeclaredField
    texts : bool
        Refuse an empty text; entries of vectors need none.

    Raises
    ------
    InputError
        It cannot be indexed, or a declared field has another type; the message gives the reason.
    """
    entry = replace(entry, title=entry.title.strip(), text=entry.text.strip())
    if why := ("empty" if texts and not entry.text else _unusable(entry)):
        raise InputError(why)
    return replace(entry, fields=_declared(entry.fields, declared))


def _unusable(entry: Entry) -> str:
    """Return the reason for which an entry cannot be indexed, or an empty string."""
    for name, value in (("id", entry.id), ("title", entry.title), ("text", entry.text)):
        of = "" if name == "text" else f"its {name} "
        if len(value) > LONGEST:
            return f"{of or 'its text '}is longer than {LONGEST:,} characters"
        if "\0" in value:
            return f"{of}holds a NUL character" if of else "holds a NUL character"
        try:
            # Bytes that are not UTF-8, and JSON escapes that are not characters, arrive as lone surrogates.
            value.encode()
        except UnicodeEncodeError:
            return f"{of}is not UTF-8" if of else "not UTF-8"
    return _unusable_fields(entry.fields) if entry.fields else ""


def _unusable_fields(fields: Mapping[str, Any]) -> str:
    """Return the reason for which metadata cannot be kept, or an empty string."""
    if odd := [name for name in fields if not isinstance(name, str)]:
        return f"the name of a field must be a string, not {odd[0]!r}"
    try:
        if len(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()) > LONGEST:
            return f"its fields are longer than {LONGEST:,} bytes of JSON"
    except UnicodeEncodeError:
        return "one of its fields is not UTF-8"
    except RecursionError:
        return "its fields are nested too deeply"
    except (TypeError, ValueError) as error:
        return f"its fields are not JSON ({error})"
    return ""


def _declared(fields: Mapping[str, Any], declared: Iterable[DeclaredField]) -> dict[str, Any]:
    """Return the fields with the declared ones in their types, and without those that are missing."""
    found = dict(fields)
    for one in declared:
        if (value := one.value(found.pop(one.name, None))) is not None:
            found[one.name] = value
    return found


@dataclass(frozen=True)
class Kind:
    """Kind of source.

    Attributes
    ----------
    name : str
        Name of the kind.
    claims : callable
        ``claims(source) -> bool``, true if a source, as named on the command line, is of this kind.
    read : callable
        ``read(source, column, skipped)`` yields entries in a fixed order.
    columns : bool
        True if sources of this kind have named columns, one of which holds the text.
    """

    name: str
    claims: Callable[[str], bool]
    read: Callable[[str, str | None, Skipped], Iterator[Entry]]
    columns: bool = False
