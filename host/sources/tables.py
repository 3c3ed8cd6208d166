"""JSON lines and CSV, with one entry per record and its text in a named column."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from .decode import check_table
from .delimited import records
from .entry import Entry, Kind, Skipped

__all__ = ["CSV", "JSON_LINES"]

_DEFAULT = "text"
#: Names of the fields of an entry other than its text.
_ID, _TITLE = "id", "title"
#: Length of the longest line that is read, in characters.
_LONGEST_LINE = 1 << 26
#: Characters that separate columns in practice, including those not accepted.
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _lines(source: str) -> Iterator[str | None]:
    """Yield the lines of a file with their line ends, and None for each line that is too long.

    Bytes that are not UTF-8 become lone surrogates, so they invalidate their entry, not the file.
    """
    check_table(source)
    with Path(source).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        while line := file.readline(_LONGEST_LINE):
            whole = len(line) < _LONGEST_LINE or line.endswith(("\n", "\r"))
            rest = line
            while not whole and rest:
                rest = file.readline(_LONGEST_LINE)
                whole = rest.endswith(("\n", "\r"))
                line = ""
            yield line or None


def _read_json_lines(source: str, column: str | None, skipped: Skipped) -> Iterator[Entry]:
    column = column or _DEFAULT
    for number, line in enumerate(_lines(source), 1):
        where = f"{source}:{number}"
        if line is None:
            skipped.add(where, f"longer than {_LONGEST_LINE:,} characters")
            continue
        if not line.strip():
            continue
        try:
            line.encode()
            record = json.loads(line, object_pairs_hook=_once, parse_constant=_null, parse_float=_finite)
        except UnicodeEncodeError:
            skipped.add(where, "not UTF-8")
            continue
        except _TwiceError as error:
            skipped.add(where, f"two fields are named {error}", "two fields of the same name")
            continue
        except (ValueError, RecursionError) as error:
            skipped.add(where, f"not JSON ({error})", "not JSON")
            continue
        if not isinstance(record, dict):
            skipped.add(where, f"a JSON {_kind(record)}, not an object")
            continue
        if not isinstance(record.get(column), str):
            skipped.add(where, f"no text in field {column!r}{_offered(record)}", f"no text in field {column!r}")
            continue
        entry = _entry(record, column, where, skipped)
        if entry is not None:
            yield entry


class _TwiceError(Exception):
    """Error for an object with two fields of the same name, which is the message."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(repr(_repeated(name for name, _ in pairs)))
    return found


def _null(_name: str) -> None:
    """Return null for NaN and Infinity, which some programs write in place of a missing number."""


def _finite(digits: str) -> float | None:
    """Return a number, or null for one that is too large, such as 1e999."""
    return number if math.isfinite(number := float(digits)) else None


def _repeated(names: Any) -> str:
    return str(Counter(names).most_common(1)[0][0])


def _kind(value: Any) -> str:
    names = {list: "array", dict: "object", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _offered(record: dict[str, Any]) -> str:
    fields = [name for name, value in record.items() if isinstance(value, str)]
    return f", only in {', '.join(fields)}" if fields else ""


def _entry(record: dict[str, Any], column: str, where: str, skipped: Skipped) -> Entry | None:
    """Return the entry of a record, or count it as skipped if its id or title has another type."""
    words = {}
    for name in (_ID, _TITLE):
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            shown = json.dumps(value)
            shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
            skipped.add(where, f"its {name} must be a string or an integer, not {shown}", f"{name} of another type")
            return None
        words[name] = "" if value is None else str(value)
    title = words[_TITLE] if column != _TITLE else ""
    # A column without a name, such as the row numbers of a data frame, could not be asked for.
    fields = {name: value for name, value in record.items() if name not in (_ID, _TITLE, column) and name.strip()}
    return skipped.accept(Entry(words[_ID] if words[_ID].strip() else where, title, record[column], fields), where)


def _read_csv(source: str, column: str | None, skipped: Skipped) -> Iterator[Entry]:
    column = column or _DEFAULT
    delimiter = "\t" if source.lower().endswith(".tsv") else ","
    rows = records(_lines(source), delimiter)
    header = next(rows, None)
    if header is None or not (header.cells or header.why):
        raise InputError(f"{printable(source)} has no header line with the names of its columns")
    if header.why:
        raise InputError(f"{printable(source)}: {header.why}")
    names = header.cells
    _check_names(source, names, column, delimiter)
    for row in rows:
        where = f"{source}:{row.line}"
        if row.why:
            skipped.add(where, row.why, row.reason)
        elif row.cells and len(row.cells) != len(names):
            hint = _other_delimiter(names, row.cells, delimiter) if len(names) == 1 else ""
            skipped.add(
                where,
                f"{len(row.cells)} cells, but the header has {len(names)}{hint}",
                "number of cells differs from the header",
            )
        elif row.cells:
            entry = _entry(dict(zip(names, row.cells, strict=True)), column, where, skipped)
            if entry is not None:
                yield entry


def _check_names(source: str, names: list[str], column: str, delimiter: str) -> None:
    given = [name for name in names if name.strip()]
    if len(set(given)) < len(given):
        raise InputError(f"{printable(source)} has two columns named {_repeated(given)!r}; rename one")
    if column not in names:
        offered = printable(", ".join(names))
        raise InputError(
            f"{printable(source)}: --column must be one of {offered}, not {column!r}"
            f"{_other_delimiter([column], names, delimiter)}"
        )


def _other_delimiter(wanted: list[str], cells: list[str], delimiter: str) -> str:
    """Return a hint if cells seem to be separated by another character, otherwise an empty string."""
    for other, plural in _DELIMITERS.items():
        parts = [part.strip().strip('"') for cell in cells for part in cell.split(other)]
        if other != delimiter and len(parts) > len(cells) and (len(cells) == 1 or set(wanted) <= set(parts)):
            rule = "tabs in .tsv" if delimiter == "\t" else "commas in .csv"
            return f"; its columns seem to be separated by {plural}, but must be by {rule}"
    return ""


def _is_table(source: str, *suffixes: str) -> bool:
    return source.lower().endswith(suffixes) and not Path(source).is_dir()


JSON_LINES = Kind("JSON lines", lambda source: _is_table(source, ".jsonl", ".ndjson"), _read_json_lines, columns=True)
CSV = Kind("CSV", lambda source: _is_table(source, ".csv", ".tsv"), _read_csv, columns=True)
