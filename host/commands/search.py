"""``ninefold search``: find the entries of an index that are nearest to a query."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.errors import UnavailableError
from ninefold.spec.files import check_folders
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json

from .shown import answered, considered, details, score_of, snippet

if TYPE_CHECKING:
    from ninefold.host.index import Hits, Index

__all__ = ["DEFAULT_K", "QUERY", "query_of", "report_of", "search", "table_of"]

#: Number of hits if none is given.
DEFAULT_K = 10
#: Argument of a query: several words are one text, as most people type a question without quotes.
QUERY = click.argument("query", nargs=-1, required=True, callback=lambda _context, _argument, words: " ".join(words))


@click.command()
@click.argument("name")
@QUERY
@click.option("-k", default=DEFAULT_K, show_default=True, help="Number of hits, 1 to 256.")
@click.option("--rerank", type=int, help="Rescore the best RERANK * k hits by dot products of the float vectors.")
@click.option(
    "--recall",
    type=float,
    help="Choose the cheapest search that reached this recall when the index was built, in place of --rerank.",
)
@click.option("--threshold", help="adaptive: drop hits whose scores are near the mean of all scores.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Search on this device of `ninefold devices`; auto lets the scheduler choose.",
)
@click.option("--strict", is_flag=True, help="Fail instead of falling back to another device.")
@click.option("--explain", is_flag=True, help="Show the candidate devices, the reason for the choice, and times.")
@click.option(
    "--timeline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a trace of the search to this file, for ui.perfetto.dev.",
)
@click.option(
    "--metrics", type=click.Path(dir_okay=False, path_type=Path), help="Write Prometheus metrics to this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the hits as JSON.")
def search(
    name: str,
    query: str,
    k: int,
    rerank: int | None,
    recall: float | None,
    threshold: str | None,
    device: str,
    strict: bool,
    explain: bool,
    timeline: Path | None,
    metrics: Path | None,
    as_json: bool,
) -> None:
    """Search the index NAME for QUERY.

    An index of vectors takes the number of a row, or a .npy file with one vector.
    """
    check_folders(timeline, metrics)
    options: dict[str, Any] = {"rerank": rerank, "recall": recall, "threshold": threshold}
    options |= {"device": device, "strict": strict}
    with step(f"searching {name}"):
        from ninefold.host.index import Index
        from ninefold.host.scheduler import Scheduler

        index = Index.open(name)
        with Scheduler(timeline=timeline is not None) as scheduler:
            if explain:
                scheduler.devices()  # a quick search would not probe the other devices
            hits = index.search(query_of(index, query), k, scheduler=scheduler, **options)
            if timeline is not None:
                scheduler.write_timeline(timeline)
            if metrics is not None:
                metrics.write_text(scheduler.metrics())
    for text in hits.fallbacks:
        click.echo(f"warning: {printable(text)}", err=True)
    if device == "board":
        _say_what_stands_in(hits.result.answered_by)
    if as_json:
        click.echo(to_json(report_of(index, query, hits)))
        return
    console = Console()
    console.print(table_of(hits))
    console.print(answered(hits), style="dim", highlight=False, markup=False)
    if explain:
        console.print()
        console.print(details(hits), highlight=False, markup=False)
        console.print(considered(hits.result))


def _say_what_stands_in(answered_by: str) -> None:
    """Report on stderr that a simulated board answered a request for any board."""
    from ninefold.drivers.boards import places, why_simulated

    found = places()
    for some in found.values():
        for place in () if isinstance(some, UnavailableError) else some:
            if place.simulated and answered_by == f"board:{place.name}":
                click.echo(printable(f"{why_simulated(found)}; using {place.url}"), err=True)


def query_of(index: Index, query: str) -> Any:
    """Return the query that a command-line argument means to an index: a text, a row number, or vectors."""
    if index.manifest.model:
        return query
    from ninefold.host.sources import vectors

    if vectors.claims(query):
        return vectors.load(query)
    # Not isdigit(), which accepts superscripts. The index refuses a text, and its error names the valid queries.
    return int(query) if query.isdecimal() else query


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


def report_of(index: Index, query: str, hits: Hits) -> dict[str, Any]:
    """Return the report that ``--json`` prints."""
    result = hits.result
    return {
        **index.describe(),
        "query": query,
        "score": score_of(hits),
        "setting": None if hits.setting is None else asdict(hits.setting),
        "hits": [
            {
                "rank": rank,
                "row": hit.row,
                "score": hit.score,
                "id": hit.entry.id,
                "title": hit.entry.title,
                "text": hit.entry.text,
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
