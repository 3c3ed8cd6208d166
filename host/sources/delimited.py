"""Records of CSV and TSV (RFC 4180) with their line numbers. An unclosed quote costs only its own record."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .entry import LONGEST

__all__ = ["Record", "records"]


@dataclass(frozen=True)
class Record:
    """Record of a CSV or TSV file.

    Attributes
    ----------
    line : int
        Number of the line where the record begins, from 1.
    cells : list of str
        Cells of the record; empty for a blank line or an unreadable record.
    why : str
        Explanation if the record is unreadable, otherwise empty.
    reason : str
        `why` without numbers, under which records are counted.
    """

    line: int
    cells: list[str]
    why: str = ""
    reason: str = ""


def records(lines: Iterator[str | None], delimiter: str) -> Iterator[Record]:
    """Yield the records of a file.

    A quoted cell without a closing quote, or with more text after it, means that a quote was not closed or not doubled.
    The lines of the record up to the one with the opening quote are skipped, and reading resumes on the next line.

    Parameters
    ----------
    lines : iterator of str
        Lines with their line ends; None for a line that is too long.
    delimiter : str
        Single character.
    """
    # The limit is global to the process, so it is set here before use.
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
            yield Record(line, [], "the line is too long", "line too long")
        except csv.Error as error:
            opened, why, reason = _fault(source.taken, line, delimiter, str(error))
            source.again(opened - line + 1)
            yield Record(line, [], why, reason)
        else:
            yield Record(line, cells)


class _TooLongError(Exception):
    """Error for a line that is too long."""


class _Lines(Iterator[str]):
    """Iterator over lines that can be pushed back."""

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._lines = lines
        self._back: list[str] = []  # in reverse order
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
        """Push back all taken lines except the first `kept`."""
        back = self.taken[kept:]
        self._back.extend(reversed(back))
        self.number -= len(back)


def _fault(taken: list[str], line: int, delimiter: str, said: str) -> tuple[int, str, str]:
    """Return the line of the quote that makes a record unreadable, the explanation, and the same without numbers.

    Parameters
    ----------
    taken : list of str
        Lines of the record that were read.
    line : int
        Number of the first line.
    delimiter : str
    said : str
        Error message of the csv module.
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
        return opened, f'{why}; a quote inside a quoted cell is written ""', "quote not closed or not doubled"
    limit = f" within {LONGEST:,} characters" if len(text) - at > LONGEST else ""
    why = f"the quote opened in line {opened} is never closed{limit}; the lines after it are read as records"
    return opened, why, "quote never closed"


def _line_ends(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))
