"""Entries of a source, and an account of what was skipped."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

__all__ = ["LONGEST", "Entry", "Kind", "Skipped"]

#: Characters of the longest id, title or text. The model reads about a thousand of a text; what is longer than this is
#: data of another kind, or several entries run together.
LONGEST = 1 << 20
#: Skipped entries that are named.
_NAMED = 5
#: Reasons or fields that are named.
_LISTED = 20


@dataclass(frozen=True)
class Entry:
    """One thing to find.

    Attributes
    ----------
    id : str
        Its id: one that the source gives, a qualified name, or file and line.
    title : str
        Its heading; may be empty.
    text : str
        Its body.
    """

    id: str
    title: str
    text: str

    @property
    def sentence(self) -> str:
        """Title and body, as they are embedded."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass
class Skipped:
    """Account of what of a source is not indexed, each with its reason.

    Attributes
    ----------
    strict : bool
        Refuse the first one instead.
    count : int
        Entries, files and linked folders that were skipped.
    reasons : Counter of str
        Number of them by reason.
    named : list of str
        The first few, as ``where: why``, printable.
    further : list of str
        After those, the first of each reason that is not among them.
    others : int
        Files below a folder that are of no kind that is read; they are never refused.
    hidden : int
        Files and folders whose name begins with a dot; they are never refused.
    fields : dict
        Names of columns or fields that an index does not keep, in order of appearance.
    notes : list of str
        Further choices that a user should know of, printable.
    """

    strict: bool = False
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    others: int = 0
    hidden: int = 0
    fields: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _given: dict[str, str] = field(default_factory=dict, repr=False)

    def add(self, where: str, why: str, reason: str = "") -> None:
        """Count one; raise `InputError` where nothing may be skipped.

        Parameters
        ----------
        where : str
            File, line or name; made printable here, as is `why`.
        why : str
            The reason in full.
        reason : str
            The reason that it is counted under; `why` by default.
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
        """Return the entry with its ends trimmed, or count it and return None where it cannot be indexed.

        Of entries with the same id, the earlier one is counted as skipped and the later one returned; `read` drops the
        earlier one.

        Parameters
        ----------
        entry : Entry
        where : str
            Where it was read, if its id does not say that.
        """
        where = where or entry.id
        entry = Entry(entry.id, entry.title.strip(), entry.text.strip())
        if why := _unusable(entry):
            self.add(where, why)
            return None
        if (before := self._given.get(entry.id)) is not None:
            self.add(before, f"its id {entry.id!r} is given again at {where}", "id given again")
        self._given[entry.id] = where
        return entry

    def lines(self) -> Iterator[str]:
        """Yield what a user should read of it, a line each."""
        named = [*self.named, *self.further]
        yield from (f"skipped {said}" for said in named)
        if self.count > len(named):
            reasons = [f"{printable(reason)} ({count})" for reason, count in self.reasons.most_common(_LISTED)]
            yield f"and {self.count - len(named)} more; in all: {', '.join(reasons)}"
        if self.fields:
            fields = [printable(repr(name)) for name in list(self.fields)[:_LISTED]]
            more = f" and {len(self.fields) - _LISTED} more" if len(self.fields) > _LISTED else ""
            yield f"fields that an index does not keep: {', '.join(fields)}{more}"
        yield from self.notes


def _unusable(entry: Entry) -> str:
    """Return why an entry cannot be written or embedded; nothing where it can."""
    if not entry.text:
        return "empty"
    for name, value in (("id", entry.id), ("title", entry.title), ("text", entry.text)):
        of = "" if name == "text" else f"its {name} "
        if len(value) > LONGEST:
            return f"{of or 'its text '}is longer than {LONGEST:,} characters"
        if "\0" in value:
            return f"{of}holds a NUL character" if of else "holds a NUL character"
        try:
            # Bytes that were not UTF-8, and escapes in JSON that are not characters, arrive as lone surrogates.
            value.encode()
        except UnicodeEncodeError:
            return f"{of}is not UTF-8" if of else "not UTF-8"
    return ""


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Attributes
    ----------
    name : str
        Its name.
    claims : callable
        ``claims(source) -> bool``: whether it is of this kind, from the words on the command line.
    read : callable
        ``read(source, column, skipped)`` yields entries in a fixed order.
    columns : bool
        Whether it has named columns, one of which is the text.
    """

    name: str
    claims: Callable[[str], bool]
    read: Callable[[str, str | None, Skipped], Iterator[Entry]]
    columns: bool = False
