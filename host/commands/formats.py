"""Hits in the formats of ``--format``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.terminal import printable, to_json

from .shown import answered, score_of, snippet

if TYPE_CHECKING:
    from ninefold.host.index import Hits

__all__ = ["FORMAT", "JSON", "report_of", "table_of", "write"]

#: Hits of a query, with the query as the user gave it.
_Found = tuple[str, "Hits"]
_About = Callable[[], Mapping[str, Any]]

JSON = click.option("--json", "form", flag_value="json", help="Short for --format json.")


def write(form: str, about: _About, found: Iterable[_Found], *, many: bool) -> None:
    """Write the hits of queries to standard output, as they come if the format allows.

    Parameters
    ----------
    form : str
        Key of ``_FORMATS``.
    about : callable
        ``about()`` gives the fields of the index that was searched, which JSON holds.
    found : iterable of (str, Hits)
        Queries and their hits.
    many : bool
        Whether there may be several, which JSON writes as a list.
    """
    _FORMATS[form](about, found, many)


def table_of(hits: Hits) -> Table:
    """Return a table of hits."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("", justify="right", no_wrap=True, min_width=len(str(len(hits))))
    table.add_column("score", justify="right", no_wrap=True, min_width=6)
    table.add_column("title", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("text", no_wrap=True, overflow="ellipsis", ratio=3, style="dim")
    for rank, hit in enumerate(hits, 1):
        score = f"{hit.score:.4f}" if isinstance(hit.score, float) else str(hit.score)
        entry = hit.entry
        table.add_row(str(rank), score, Text(snippet(entry.title or entry.id)), Text(snippet(entry.text)))
    return table


def report_of(about: Mapping[str, Any], query: str, hits: Hits) -> dict[str, Any]:
    """Return the report on one query that JSON holds."""
    result = hits.result
    return {
        **about,
        "query": query,
        "score": score_of(hits),
        "route": None if hits.route is None else asdict(hits.route),
        "setting": None if hits.setting is None else asdict(hits.setting),
        "hits": [
            {
                "rank": rank,
                "row": hit.row,
                "score": hit.score,
                "id": hit.entry.id,
                "title": hit.entry.title,
                "text": hit.entry.text,
                "fields": dict(hit.entry.fields),
            }
            for rank, hit in enumerate(hits, 1)
        ],
        "asked_for": result.asked_for,
        "answered_by": result.answered_by,
        "why": result.why,
        "considered": [asdict(candidate) for candidate in result.considered],
        "fallbacks": list(hits.fallbacks),
        "path": result.path,
        "metrics": dict(result.metrics),
        "embed_seconds": hits.embed_seconds,
    }


def _as_table(_about: _About, found: Iterable[_Found], many: bool) -> None:
    console, last = Console(), None
    for query, hits in found:
        if many:
            console.rule(Text(f"query {snippet(query)}"), align="left", characters="-")
        console.print(table_of(hits))
        last = hits
    if last is not None:
        console.print(answered(last), style="dim", highlight=False, markup=False)


def _as_json(about: _About, found: Iterable[_Found], many: bool) -> None:
    fields = about()
    reports = [report_of(fields, query, hits) for query, hits in found]
    click.echo(to_json(reports if many else reports[0]))


def _as_json_lines(about: _About, found: Iterable[_Found], _many: bool) -> None:
    fields = about()
    for query, hits in found:
        click.echo(to_json(report_of(fields, query, hits), indent=None))


def _as_csv(_about: _About, found: Iterable[_Found], _many: bool) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("query", "rank", "row", "score", "id", "title"))
    for query, hits in found:
        for rank, hit in enumerate(hits, 1):
            words = (query, rank, hit.row, hit.score, hit.entry.id, hit.entry.title)
            # CSV has no escapes: the output is exact in a file or pipe, and escaped on a terminal.
            writer.writerow(map(printable, words) if sys.stdout.isatty() else words)


_FORMATS: Final[dict[str, Callable[[_About, Iterable[_Found], bool], None]]] = {
    "table": _as_table,
    "json": _as_json,
    "jsonl": _as_json_lines,
    "csv": _as_csv,
}

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    default="table",
    show_default=True,
    help="Print the hits as a table, as JSON, as one line of JSON per query, or as CSV.",
)
