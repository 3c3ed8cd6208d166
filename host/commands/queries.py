"""Queries as commands take them: words, a row, or a file of many."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

if TYPE_CHECKING:
    from ninefold.host.index import Index, Query
    from ninefold.numerics.vector6d import Vector6DColumns

__all__ = ["CONTEXT", "QUERIES", "QUERY", "Asked", "Recorded", "Takes", "asked", "recorded"]

#: Argument of a query: several words are one text, as most people type a question without quotes.
QUERY = click.argument(
    "query", nargs=-1, callback=lambda _context, _argument, words: " ".join(words) if words else None
)


def _once(_context: click.Context, option: click.Parameter, files: tuple[str, ...]) -> str | None:
    """Return the one file of an option, of which the last would win without a word."""
    if len(files) > 1:
        raise click.UsageError(f"{option.opts[0]} is given {len(files)} times, and takes one file")
    return files[0] if files else None


QUERIES = click.option(
    "--queries",
    metavar="FILE",
    multiple=True,
    callback=_once,
    help="Search for each line of FILE, or each row of a .npy file, in place of QUERY; - reads standard input.",
)
CONTEXT = click.option(
    "--context",
    metavar="FILE",
    multiple=True,
    callback=_once,
    help="Search an index of context vectors for each record of FILE.",
)


@dataclass(frozen=True)
class Takes:
    """Kind of queries that an index takes.

    Attributes
    ----------
    called : str
        Name of the index.
    texts : bool
        True for texts; False for row numbers, and vectors in ``.npy`` files.
    dimensions : int
        Dimensions of its vectors.
    contexts : bool
        True if it takes records by ``--context`` too.
    """

    called: str
    texts: bool
    dimensions: int
    contexts: bool = False

    @classmethod
    def of(cls, index: Index) -> Takes:
        """Return what an open index takes."""
        return cls(index.called, bool(index.manifest.model), index.manifest.dimensions, index.manifest.contexts)


@dataclass(frozen=True)
class Asked:
    """Queries of one command.

    Attributes
    ----------
    names : list of str
        Each query as the user gave it; of a vector, its number in its file, from 0.
    queries : list of str, int or float array of shape (D,)
        The queries.
    many : bool
        Whether the user gave a file of any number of them.
    """

    names: list[str]
    queries: list[Query]
    many: bool = True


@dataclass(frozen=True)
class Recorded:
    """Records of one command, which are queries of an index of context vectors.

    Attributes
    ----------
    names : list of str
        Number of each record in its file, from 0.
    records : Vector6DColumns
        The records.
    many : bool
        Whether there are several.
    """

    names: list[str]
    records: Vector6DColumns
    many: bool


def recorded(source: str) -> Recorded:
    """Return the queries in a file of records."""
    from ninefold.host.sources import contexts

    records = contexts.load(source)
    return Recorded([str(number) for number in range(len(records))], records, len(records) > 1)


def asked(takes: Takes, query: str | None, source: str | None) -> Asked:
    """Return the queries that a command's argument and option mean to an index.

    Parameters
    ----------
    takes : Takes
        What the index takes.
    query : str, optional
        The argument.
    source : str, optional
        File of queries, or ``-``.

    Raises
    ------
    UsageError
        Neither or both are given.
    InputError
        The file holds no queries, or none for this index.
    """
    if (query is None) == (source is None):
        ways = "one of QUERY, --queries and --context" if takes.contexts else "either QUERY or --queries"
        raise click.UsageError(f"give {ways}")
    if query is not None:
        if not takes.texts and query.lower().endswith(".npy"):
            return _vectors(takes, query)
        return Asked([query], [_query(takes, query)], many=False)
    source = str(source)
    if source.lower().endswith(".npy"):
        return _vectors(takes, source)
    lines = [line.strip() for line in _text(source).splitlines()]
    names = [line for line in lines if line]
    if not names:
        raise InputError(f"{_called(source)} holds no queries, one a line")
    return Asked(names, [_query(takes, name) for name in names])


def _query(takes: Takes, word: str) -> Query:
    # Not isdigit(), which accepts superscripts. The index refuses a text, and its error names the valid queries.
    return int(word) if not takes.texts and word.isdecimal() else word


def _vectors(takes: Takes, source: str) -> Asked:
    import numpy as np

    from ninefold.host.sources import vectors

    if takes.texts:
        raise InputError(f"{takes.called} holds texts: its queries are lines of text, not vectors in {_called(source)}")
    rows = vectors.load(source)
    if rows.ndim == 1:
        return Asked([source], [np.asarray(rows)], many=False)
    if rows.ndim != 2 or not len(rows):
        raise InputError(f"the queries in {_called(source)} must have shape (N, D), with N from 1, not {rows.shape}")
    if rows.shape[1] != takes.dimensions:
        raise InputError(f"the queries have {rows.shape[1]} dimensions, the index {takes.dimensions}")
    checked = vectors.check_rows(rows, source)
    return Asked([str(number) for number in range(len(rows))], [*checked], many=len(rows) > 1)


def _text(source: str) -> str:
    from ninefold.host.sources.decode import NotTextError, decoded

    try:
        return decoded(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    except NotTextError as error:
        raise InputError(f"{_called(source)} is {error}") from error


def _called(source: str) -> str:
    return "standard input" if source == "-" else printable(source)
