"""``ninefold board load`` and ``ninefold board query``: load an index onto a board and search it there."""

from __future__ import annotations

import contextlib
import csv
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console

from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

from .search import DEFAULT_K, QUERY, query_of, report_of, table_of
from .shown import answered, duration

if TYPE_CHECKING:
    from ninefold.host.index import Hits, Index
    from ninefold.host.scheduler import Scheduler

__all__ = ["load", "query"]

_DIGEST = click.option(
    "--digest",
    default="",
    metavar="HEX",
    help="Require the board to hold the bitstream with this digest [default: any known bitstream].",
)


@click.command()
@click.argument("url")
@click.argument("name")
@_DIGEST
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def load(url: str, name: str, digest: str, as_json: bool) -> None:
    """Load the index or the .npy file NAME onto the board at URL.

    It stays there. If the index has more rows than the board's store, the first part is loaded. A board simulated by
    this command (sim://) loses its content when the command ends; `ninefold board serve` keeps one running.
    """
    from ninefold.host.backends.board import Boards

    loading = step(f"loading {name} onto {url}")
    with loading, _index(name) as index, contextlib.closing(Boards().open(_instance(url, digest))) as device:
        board = device.connect()
        started, sent = time.perf_counter(), board.link_statistics.bytes_out
        device.load(index.database)
        seconds, sent = time.perf_counter() - started, board.link_statistics.bytes_out - sent
        rows, depth, epoch = len(index), board.identity.depth, board.link.epoch
        there = sent < min(rows, depth) * board.identity.row_bytes
    if as_json:
        report = {"board": url, "bitstream": device.path, "rows": rows, "store_rows": depth, "epoch": epoch}
        click.echo(to_json({**report, "was_there": there, "bytes_out": sent, "seconds": seconds}))
        return
    of_all = f" of {rows:,} (each search loads the others)" if rows > depth else ""
    how = "already on the board" if there else f"{counted(sent, 'byte')} in {duration(seconds)}"
    click.echo(printable(f"{url} ({device.path}): {counted(min(rows, depth), 'row')}{of_all}; {how}"))


@click.command()
@click.argument("url")
@click.argument("name")
@QUERY
@_DIGEST
@click.option("-k", type=int, help="Number of hits, at most the board's k [default: 10, or the board's k if smaller].")
@click.option("--rerank", type=int, help="Rescore the best RERANK * k hits by dot products of the float vectors.")
@click.option("--threshold", help="adaptive: drop hits whose scores are near the mean of all scores.")
@click.option("--json", "as_json", is_flag=True, help="Print the hits as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the hits as CSV.")
def query(
    url: str,
    name: str,
    query: str,
    digest: str,
    k: int | None,
    rerank: int | None,
    threshold: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Search the index or the .npy file NAME on the board at URL.

    QUERY is a text; for vectors it is a row number, or a .npy file with one or more vectors. Rows that the board does
    not hold yet are loaded first. An index larger than the board's store is loaded and searched part by part; each part
    takes the time of a load.
    """
    from ninefold.host.scheduler import Scheduler

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    with _index(name) as index, Scheduler() as scheduler:
        instance = _instance(url, digest)
        k = _most(instance, rerank) if k is None else k
        options = {"k": k, "rerank": rerank, "threshold": threshold, "device": f"board:{instance}"}
        wanted = query_of(index, query)
        # Loading an index larger than the board's store part by part takes minutes.
        with step(f"searching {counted(len(index), 'row')} on {url}"):
            found = _searched(index, wanted, scheduler, {**options, "strict": True})
        if as_json:
            reports = [report_of(index, query, hits) for hits in found]
            click.echo(to_json(reports if len(reports) > 1 else reports[0]))
        elif as_csv:
            _write_csv(found)
        else:
            _show(found)


def _searched(index: Index, wanted: Any, scheduler: Scheduler, options: dict[str, Any]) -> list[Hits]:
    """Return the hits of one query, or of every vector of a file in one request to the board."""
    from ninefold.host.index import Hits
    from ninefold.host.sources.vectors import check_rows

    if not isinstance(wanted, np.ndarray) or wanted.ndim < 2:
        return [index.search(wanted, scheduler=scheduler, **options)]
    if wanted.shape[1] != index.manifest.dimensions:
        raise InputError(f"the queries have {wanted.shape[1]} dimensions, the index {index.manifest.dimensions}")
    if not len(wanted):
        raise InputError(f"the queries must be 1 or more, not an array of {wanted.shape}")
    result = index.mine(check_rows(wanted, "the queries"), scheduler=scheduler, **options)
    return [Hits(index.hits(result, number), result, 0.0) for number in range(len(wanted))]


def _write_csv(found: list[Hits]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("query", "rank", "row", "score", "id", "title"))
    for number, hits in enumerate(found):
        for rank, hit in enumerate(hits, 1):
            words = (hit.entry.id, hit.entry.title)
            # CSV has no escapes: the output is exact in a file or pipe, and escaped on a terminal.
            shown = map(printable, words) if sys.stdout.isatty() else words
            writer.writerow((number, rank, hit.row, hit.score, *shown))


def _show(found: list[Hits]) -> None:
    console = Console()
    for number, hits in enumerate(found):
        if len(found) > 1:
            console.rule(f"query {number}", align="left", characters="-")
        console.print(table_of(hits))
    console.print(answered(found[0]), style="dim", highlight=False, markup=False)


def _instance(url: str, digest: str) -> str:
    from ninefold.drivers.boards import url_of

    found = url_of(url)
    return f"{found}#{digest}" if digest else found


def _most(instance: str, rerank: int | None) -> int:
    """Return the default number of results: 10, or the board's k if it is smaller."""
    from ninefold.host.backends.board import Boards

    with contextlib.closing(Boards().open(instance)) as device:
        return max(1, min(DEFAULT_K, device.connect().identity.k // max(1, rerank or 1)))


@contextlib.contextmanager
def _index(name: str) -> Iterator[Index]:
    """Open an index by name, or build a temporary one from a file of vectors."""
    from ninefold.host.index import Index, build
    from ninefold.host.sources import vectors

    if vectors.claims(name):
        with tempfile.TemporaryDirectory(prefix="ninefold-") as folder:
            made = build(name, str(Path(folder) / "vectors"))
            yield Index.open(str(made.folder), called=name)
    elif Path(name).is_file():
        raise InputError(
            f"a board searches an index or a .npy file of vectors, not {name!r};"
            f" `ninefold index {name} -o NAME` builds an index of it"
        )
    else:
        yield Index.open(name)
