"""JSON lines and CSV: one entry a record, its text in a named column."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ninefold.spec.errors import InputError

from .entry import Entry, Kind, Skipped

__all__ = ["CSV", "JSON_LINES"]

_DEFAULT = "text"
#: Larger than any text that makes sense; the csv module's own limit is 128 KiB.
_LONGEST_CELL = 1 << 26


def _read_json_lines(source: str, column: str | None, skipped: Skipped) -> Iterator[Entry]:
    column = column or _DEFAULT
    with Path(source).open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{source}:{number}"
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except UnicodeDecodeError:
                skipped.add(where, "not UTF-8")
                continue
            except (ValueError, RecursionError) as error:
                skipped.add(where, f"not JSON ({error})")
                continue
            if not isinstance(record, dict) or not isinstance(record.get(column), str):
                skipped.add(where, f"no text in field {column!r}{_offered(record)}")
                continue
            found = Entry(_word(record, "id") or where, _word(record, "title"), record[column])
            entry = skipped.accept(found, where)
            if entry is not None:
                yield entry


def _offered(record: Any) -> str:
    fields = [name for name, value in record.items() if isinstance(value, str)] if isinstance(record, dict) else []
    return f", only in {', '.join(fields)}" if fields else ""


def _word(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _read_csv(source: str, column: str | None, skipped: Skipped) -> Iterator[Entry]:
    column = column or _DEFAULT
    csv.field_size_limit(_LONGEST_CELL)
    delimiter = "\t" if source.lower().endswith(".tsv") else ","
    # Bytes that are not UTF-8 become lone surrogates, which `Skipped.accept` sees: one bad cell costs one entry.
    with Path(source).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.reader(file, delimiter=delimiter)
        try:
            names = next(rows, None)
            if not names:
                raise InputError(f"{source} has no header line with the names of its columns")
            if column not in names:
                raise InputError(f"{source}: --column must be one of {', '.join(names)}, not {column!r}")
            for cells in rows:
                where = f"{source}:{rows.line_num}"
                if len(cells) != len(names):
                    if cells:
                        skipped.add(where, f"{len(cells)} cells where the header has {len(names)}")
                    continue
                record = dict(zip(names, cells, strict=True))
                title = record.get("title", "") if column != "title" else ""
                entry = skipped.accept(Entry(record.get("id") or where, title, record[column]), where)
                if entry is not None:
                    yield entry
        except csv.Error as error:
            raise InputError(f"{source}:{rows.line_num} is not CSV: {error}") from error


JSON_LINES = Kind(
    "JSON lines", lambda source: source.lower().endswith((".jsonl", ".ndjson")), _read_json_lines, columns=True
)
CSV = Kind("CSV", lambda source: source.lower().endswith((".csv", ".tsv")), _read_csv, columns=True)
