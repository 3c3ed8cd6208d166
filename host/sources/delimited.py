"""Records of CSV and TSV (RFC 4180), each with its line, where a quote that is not closed costs one line."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .entry import LONGEST

__all__ = ["Record", "records"]


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes
    ----------
    line : int
        Number of the line where it begins, from 1.
    cells : list of str
        Its cells; none for a blank line, and where it cannot be read.
    why : str
        Why it cannot be read; empty where it can.
    reason : str
        `why` without its numbers.
    """

    line: int
    cells: list[str]
    why: str = ""
    reason: str = ""


def records(lines: Iterator[str | None], delimiter: str) -> Iterator[Record]:
    """Yield the records of a file.

    A quoted cell that ends nowhere, or in the middle of a cell, is a quote that somebody forgot to close or to double:
    the lines up to the one where it opens are given up, and reading resumes in the next.

    Parameters
    ----------
    lines : iterator of str
        With their ends; None for one that is too long to be read.
    delimiter : str
        One character.
    """
    # One limit for the whole process, so it is set where it is needed.
    csv.field_size_limit(LONGEST)
    source = _Lines(lines)
    while True:
        source.taken.clear()
        line = source.number + 1
        try:
            cells = next(csv.reader(source, delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except _TooLongError:
            yield Record(line, [], "a line is too long to be read", "a line too long to be read")
        except csv.Error as error:
            opened, why, reason = _fault(source.taken, line, delimiter, str(error))
            source.again(opened - line + 1)
            yield Record(line, [], why, reason)
        else:
            yield Record(line, cells)


class _TooLongError(Exception):
    """A line that is too long to be read."""


class _Lines(Iterator[str]):
    """Lines that can be taken again."""

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._lines = lines
        self._back: list[str] = []  # the next one is the last
        self.number = 0
        self.taken: list[str] = []

    def __next__(self) -> str:
        line = self._back.pop() if self._back else next(self._lines)
        self.number += 1
        if line is None:
            raise _TooLongError
        self.taken.append(line)
        return line

    def again(self, kept: int) -> None:
        """Give back all that was taken but the first `kept`."""
        back = self.taken[kept:]
        self._back.extend(reversed(back))
        self.number -= len(back)


def _fault(taken: list[str], line: int, delimiter: str, said: str) -> tuple[int, str, str]:
    """Return where the quote was opened that makes a record unreadable, why it is, and that without numbers.

    Parameters
    ----------
    taken : list of str
        Lines of the record, as far as it was read.
    line : int
        Number of the first.
    delimiter : str
    said : str
        The csv module's own words.
    """
    text, at = "".join(taken), 0
    quoted = r'"[^"]*(?:""[^"]*)*"'
    cell = re.compile(rf'{quoted}(?=[{delimiter}\r\n]|\Z)|(?!")[^{delimiter}\r\n]*')
    while found := cell.match(text, at):
        at = found.end() + 1
        if at > len(text):
            return line, f"not CSV ({said})", "not CSV"
    opened = line + _line_ends(text[:at])
    closed = re.compile(quoted).match(text, at)
    if closed:
        closing = line + _line_ends(text[: closed.end()])
        why = f"the quote opened in line {opened} is closed in line {closing} in the middle of a cell"
        return opened, f'{why}; a quote inside a quoted cell is written ""', "a quote not closed, or not doubled"
    limit = f" within {LONGEST:,} characters" if len(text) - at > LONGEST else ""
    why = f"the quote opened in line {opened} is never closed{limit}; the lines after it are read as records"
    return opened, why, "a quote never closed"


def _line_ends(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))
