"""What a source gives: entries, and an account of what was skipped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ninefold.spec.errors import InputError

__all__ = ["Entry", "Kind", "Skipped"]

#: How many skipped entries are named; the rest is only counted.
_NAMED = 5


@dataclass(frozen=True)
class Entry:
    """One thing to find.

    Attributes
    ----------
    id : str
        Where it comes from: a qualified name, or file and line.
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
        """What is embedded: title and body."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass
class Skipped:
    """Counts what could not be used, or refuses it.

    Attributes
    ----------
    strict : bool
        Refuse the first one instead.
    count : int
        How many were skipped.
    named : list of str
        The first few with their reasons.
    others : int
        Files below a folder that are of no kind that is read; they are never refused.
    """

    strict: bool = False
    count: int = 0
    named: list[str] = field(default_factory=list)
    others: int = 0

    def add(self, where: str, why: str) -> None:
        """Count one; raise `InputError` where nothing may be skipped."""
        if self.strict:
            raise InputError(f"{where}: {why}")
        self.count += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{where}: {why}")

    def accept(self, entry: Entry, where: str = "") -> Entry | None:
        """Return the entry with its ends trimmed, or count it and return None where it has no text to embed.

        Parameters
        ----------
        entry : Entry
        where : str
            Where it was read, if its id does not say that.
        """
        where = where or entry.id
        text = entry.text.strip()
        if not text:
            self.add(where, "empty")
            return None
        try:
            # Bytes that were not UTF-8, and escapes in JSON that are not characters, arrive as lone surrogates.
            (entry.title + text).encode()
        except UnicodeEncodeError:
            self.add(where, "not UTF-8")
            return None
        return Entry(entry.id, entry.title.strip(), text)


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
