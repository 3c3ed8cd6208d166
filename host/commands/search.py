"""``ninefold search``: find the entries of an index that are nearest to a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ninefold.spec.errors import UnavailableError
from ninefold.spec.files import check_folders
from ninefold.spec.progress import Step, step
from ninefold.spec.terminal import printable

from .formats import FORMAT, JSON, write
from .queries import CONTEXT, QUERIES, QUERY, Asked, Recorded, Takes, asked, recorded
from .shown import considered, details

if TYPE_CHECKING:
    from ninefold.host.index import Hits, Index
    from ninefold.host.scheduler import Scheduler

__all__ = ["DEFAULT_K", "search"]

#: Number of hits if none is given.
DEFAULT_K = 10
#: Queries that one task searches for, and that progress counts.
_TOGETHER = 256


@click.command()
@click.argument("name")
@QUERY
@QUERIES
@CONTEXT
@click.option("-k", default=DEFAULT_K, show_default=True, help="Number of hits, 1 to 256.")
@click.option("--rerank", type=int, help="Rescore the best RERANK * k hits by dot products of the float vectors.")
@click.option(
    "--recall",
    type=float,
    help="Choose the cheapest search that reached this recall when the index was built, in place of --rerank.",
)
@click.option("--scan", help="nits: score all rows by nits (default). signs: first by the signs of their nits.")
@click.option("--oversample", type=int, help="The scan of signs keeps OVERSAMPLE * RERANK * k rows [default: 32].")
@click.option(
    "--macro", type=int, help="Search only the best MACRO clusters of a clustered index, 1 to 64; with --micro."
)
@click.option("--micro", type=int, help="Of each of these clusters, search only the best MICRO of its 16 lists.")
@click.option(
    "--where", help="Search only entries whose fields meet a condition, such as 'lang == \"de\" and year >= 2020'."
)
@click.option("--route", is_flag=True, help="Ask the tiers of a clustered index stage by stage; see `ninefold tiers`.")
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
@click.option("--server", metavar="URL", help="Ask this server, with the key in NINEFOLD_KEY if it needs one.")
@FORMAT
@JSON
def search(
    name: str,
    query: str | None,
    queries: str | None,
    context: str | None,
    k: int,
    rerank: int | None,
    recall: float | None,
    scan: str | None,
    oversample: int | None,
    macro: int | None,
    micro: int | None,
    where: str | None,
    route: bool,
    threshold: str | None,
    device: str,
    strict: bool,
    explain: bool,
    timeline: Path | None,
    metrics: Path | None,
    server: str | None,
    form: str,
) -> None:
    """Search the index NAME for QUERY.

    An index of vectors takes the number of a row, or a .npy file with one or more vectors. An index of context vectors
    takes --context too: hits are then scored by similarity6d, and k is at most 64.
    """
    check_folders(timeline, metrics)
    if context is not None:
        staged = {"--rerank": rerank, "--recall": recall, "--scan": scan, "--oversample": oversample}
        staged |= {
            "--macro": macro,
            "--micro": micro,
            "--threshold": threshold,
            "--route": route or None,
            "--server": server,
        }
        _check_alone({"QUERY": query, "--queries": queries, **staged})
    if server is not None and (explain or timeline is not None or metrics is not None):
        raise click.UsageError("--explain, --timeline and --metrics are of a search on this machine, not of --server")
    options: dict[str, Any] = {"rerank": rerank, "recall": recall, "threshold": threshold}
    options |= {"scan": scan, "oversample": oversample, "macro": macro, "micro": micro, "where": where, "route": route}
    options |= {"device": device, "strict": strict}
    if server is not None:
        from .remote import searched

        with step(f"searching {name} at {server}"):
            about, given, found, warning = searched(server, name, query, queries, k, options)
        _warn(found)
        if warning:
            click.echo(f"warning: {printable(warning)}", err=True)
        write(form, lambda: about, zip(given.names, found, strict=True), many=given.many)
        return
    with step(f"searching {name}") as searching:
        from ninefold.host.index import Index
        from ninefold.host.scheduler import Scheduler

        index = Index.open(name)
        wanted = asked(Takes.of(index), query, queries) if context is None else recorded(context)
        with Scheduler(timeline=timeline is not None) as scheduler:
            if explain:
                scheduler.devices()  # a quick search would not probe the other devices
            hits = _searched(index, wanted, k, scheduler, options, searching)
            index.close_tiers()  # they need the scheduler
            if timeline is not None:
                scheduler.write_timeline(timeline)
            if metrics is not None:
                metrics.write_text(scheduler.metrics())
    _warn(hits)
    if where is not None and not any(one.hits for one in hits):
        from ninefold.host.index.unmet import unmet

        click.echo(f"warning: {unmet(index)}", err=True)
    if device == "board":
        _say_what_stands_in(hits[0].result.answered_by)
    write(form, index.describe, zip(wanted.names, hits, strict=True), many=wanted.many)
    if explain and form == "table":
        console = Console()
        console.print()
        console.print(details(hits[-1]), highlight=False, markup=False)
        console.print(considered(hits[-1].result))


def _check_alone(others: Mapping[str, object]) -> None:
    """Refuse options that a search by records does not take."""
    if other := next((name for name, value in others.items() if value is not None), None):
        raise click.UsageError(f"--context scores by similarity6d on this machine; leave out {other}")


def _searched(
    index: Index, wanted: Asked | Recorded, k: int, scheduler: Scheduler, options: dict[str, Any], searching: Step
) -> list[Hits]:
    """Search for all queries, some at a time."""
    hits: list[Hits] = []
    for first in range(0, len(wanted.names), _TOGETHER):
        together = slice(first, first + _TOGETHER)
        if isinstance(wanted, Recorded):
            chosen = {name: options[name] for name in ("where", "device", "strict")}
            hits += index.search_contexts(wanted.records[together], k, scheduler=scheduler, **chosen)
        else:
            hits += index.search(wanted.queries[together], k, scheduler=scheduler, **options)
        if wanted.many:
            searching.at(len(hits), len(wanted.names))
    return hits


def _warn(hits: Sequence[Hits]) -> None:
    """Report on stderr the devices that failed."""
    for text in dict.fromkeys(text for one in hits for text in one.fallbacks):
        click.echo(f"warning: {printable(text)}", err=True)


def _say_what_stands_in(answered_by: str) -> None:
    """Report on stderr that a simulated board answered a request for any board."""
    from ninefold.drivers.boards import places, why_simulated

    found = places()
    for some in found.values():
        for place in () if isinstance(some, UnavailableError) else some:
            if place.simulated and answered_by == f"board:{place.name}":
                click.echo(printable(f"{why_simulated(found)}; using {place.url}"), err=True)
