"""``ninefold board load`` and ``ninefold board query``: load an index onto a board and search it there."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

from .formats import FORMAT, JSON, write
from .queries import QUERIES, QUERY, Takes, asked
from .search import DEFAULT_K
from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.index import Index

__all__ = ["load", "query"]

#: Candidates per hit, if the board keeps as many.
_OVERSAMPLE = 32
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
    with loading, _index(name) as index, contextlib.closing(Boards().miner(_instance(url, digest))) as device:
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
@QUERIES
@_DIGEST
@click.option("-k", type=int, help="Number of hits [default: 10, or as many as the board returns if that is fewer].")
@click.option("--rerank", type=int, help="Rescore the best RERANK * k hits by dot products of the float vectors.")
@click.option("--threshold", help="adaptive: drop hits whose scores are near the mean of all scores.")
@FORMAT
@JSON
def query(
    url: str,
    name: str,
    query: str | None,
    queries: str | None,
    digest: str,
    k: int | None,
    rerank: int | None,
    threshold: str | None,
    form: str,
) -> None:
    """Search the index or the .npy file NAME on the board at URL.

    QUERY is a text; for vectors it is a row number, or a .npy file with one or more vectors. Rows that the board does
    not hold yet are loaded first. An index larger than the board's store is loaded and searched part by part; each part
    takes the time of a load. A board that scans signs finds up to 32 candidates per hit, which the host scores by nits.
    """
    from ninefold.host.scheduler import Scheduler

    with _index(name) as index, Scheduler() as scheduler:
        wanted = asked(Takes.of(index), query, queries)
        instance = _instance(url, digest)
        options = {**_fitting(instance, k, rerank), "rerank": rerank, "threshold": threshold}
        # One task: each part of an index that is larger than the board's store is loaded once, which takes minutes.
        with step(f"searching {counted(len(index), 'row')} on {url}"):
            found = index.search(
                wanted.queries, device=f"board:{instance}", strict=True, scheduler=scheduler, **options
            )
        write(form, index.describe, zip(wanted.names, found, strict=True), many=wanted.many)


def _instance(url: str, digest: str) -> str:
    from ninefold.drivers.boards import url_of

    found = url_of(url)
    return f"{found}#{digest}" if digest else found


def _fitting(instance: str, k: int | None, rerank: int | None) -> dict[str, Any]:
    """Return the number of results, by default 10 or as many as the board returns, and the scan of its design."""
    from ninefold.host.backends.board import Boards

    with contextlib.closing(Boards().miner(instance)) as device:
        identity = device.connect().identity
    k = max(1, min(DEFAULT_K, identity.results // max(1, rerank or 1))) if k is None else k
    if identity.design != "signs":
        return {"k": k}
    kept = identity.keep // max(1, k * (rerank or 1))
    return {"k": k, "scan": "signs", "oversample": max(1, min(_OVERSAMPLE, kept))}


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
