"""Stages of ``mine`` that the host computes around a device's scan: eligible rows, selection, scores by nits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import joined_rows
from ninefold.numerics.nits import signed_nibbles, unpack
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import Ranked, best, empty, merged
from ninefold.spec.data import Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.formats import MICRO_CLUSTERS
from ninefold.spec.signature import Call

__all__ = [
    "best_lists",
    "candidates_call",
    "check_plain",
    "eligible_rows",
    "is_plain",
    "mined",
    "quantised",
    "rescored",
    "scored",
    "selected",
]

#: Function of nits (Q, D) that returns the scores of all rows (Q, N).
Scores = Callable[[npt.NDArray[np.int8]], npt.NDArray[np.int32]]

#: Nits that are unpacked together when rows are scored again.
_BLOCK = 1 << 22


def quantised(call: Call) -> npt.NDArray[np.int8]:
    """Return the nits of a call's queries, by the scale and mode of its database."""
    attributes = call.database().attributes
    return quantise(np.asarray(call.arguments["q"]), float(attributes["scale"]), attributes["mode"])  # type: ignore[arg-type]


def best_lists(queries: npt.NDArray[np.int8], database: Database, macro: int, micro: int) -> Ranked:
    """Return the best `micro` lists of each of the best `macro` clusters, by (score descending, number ascending).

    Parameters
    ----------
    queries : int8 array of shape (Q, D)
        Nits.
    database : Database
        Clustered database, which has been checked.
    macro, micro : int
        Number of clusters, and of lists in each.

    Returns
    -------
    ids : int64 array of shape (Q, macro * micro)
        Lists.
    scores : int32 array of shape (Q, macro * micro)
        Scores of their centroids.
    """
    dimensions = int(database.attributes["dimensions"])
    wide = queries.astype(np.int32)
    coarse, fine = (signed_nibbles(np.asarray(database.require(name)), dimensions) for name in ("macro", "micro"))
    clusters, _ = best(wide @ coarse.T.astype(np.int32), macro)
    scores = wide @ fine.T.astype(np.int32)
    lists = clusters[:, :, None] * MICRO_CLUSTERS + np.arange(MICRO_CLUSTERS)
    inside = np.take_along_axis(scores, lists.reshape(len(queries), -1), axis=1).reshape(lists.shape)
    columns, found = best(inside, micro)
    ids = np.take_along_axis(lists, columns, axis=-1)
    return merged(ids.reshape(len(queries), -1), found.reshape(len(queries), -1), macro * micro)


def eligible_rows(call: Call, queries: npt.NDArray[np.int8]) -> list[npt.NDArray[np.int64]] | None:
    """Return the rows of each query that ``allowed``, ``macro`` and ``micro`` leave, ascending; None for all rows."""
    allowed, macro, rows = call.arguments["allowed"], call.options["macro"], call.sizes["N"]
    if allowed is None and macro is None:
        return None
    mask = np.ones(rows, np.bool_)
    if allowed is not None:
        mask = np.unpackbits(np.asarray(allowed), count=rows, bitorder="little").view(np.bool_)
    if macro is None:
        return [np.flatnonzero(mask)] * len(queries)
    database = call.database()
    order, starts = np.asarray(database.require("order")), np.asarray(database.require("starts"))
    lists, _ = best_lists(queries, database, macro, call.options["micro"])
    found = []
    for numbers in lists.tolist():
        inside = np.sort(np.concatenate([order[starts[number] : starts[number + 1]] for number in numbers]))
        found.append(inside[mask[inside]])
    return found


def selected(
    scores: npt.NDArray[Any], keep: int, eligible: list[npt.NDArray[np.int64]] | None
) -> dict[str, npt.NDArray[Any]]:
    """Return ids, scores and count of the best `keep` of the eligible rows.

    Parameters
    ----------
    scores : array of shape (Q, N)
        Score of each row.
    keep : int
        Number of slots.
    eligible : list of int64 array or None
        Rows of each query, ascending; None for all rows.
    """
    ids, found = empty(len(scores), keep, scores.dtype)
    count = np.zeros(len(scores), np.int64)
    for query, values in enumerate(scores):
        rows = None if eligible is None else eligible[query]
        columns, top = _largest(values if rows is None else values[rows], keep)
        count[query] = number = len(columns)
        ids[query, :number], found[query, :number] = columns if rows is None else rows[columns], top
    return {"ids": ids, "scores": found, "count": count}


def _largest(values: npt.NDArray[Any], keep: int) -> Ranked:
    """Return positions and values of the largest, ties by position, without sorting all."""
    if len(values) <= keep:
        return best(values, keep)
    bar = np.partition(values, len(values) - keep)[len(values) - keep]
    # Of those that equal the bar only the first few belong: a stable sort puts the others behind `keep`.
    there = np.flatnonzero(values >= bar)
    columns, top = best(values[there], keep)
    return there[columns], top


def candidates_call(call: Call) -> Call:
    """Return the call of ``candidates`` that is the first stage of a call of ``mine`` with ``scan="signs"``."""
    from ninefold.spec.operators import OPERATORS

    options = {"keep": call.options["k"] * call.options["oversample"]}
    options |= {name: call.options[name] for name in ("macro", "micro")}
    return OPERATORS["candidates"].settled(call.arguments, options, call.sizes)


def is_plain(call: Call) -> bool:
    """Return whether a call of ``mine`` scores all rows by nits and may return each of them."""
    options = call.options
    return options["scan"] == "nits" and options["macro"] is None and call.arguments["allowed"] is None


def check_plain(call: Call, device: str, *, masks: bool = False) -> None:
    """Raise `UnsupportedError` for a call that a device cannot answer because it scores all rows by nits.

    Parameters
    ----------
    call : Call
        Call of ``mine``.
    device : str
        Subject of the message.
    masks : bool
        True if ``allowed`` is applied to what the device returns.
    """
    asked = [name for name in ("macro", "micro") if call.options[name] is not None]
    asked += ["scan"] if call.options["scan"] != "nits" else []
    asked += ["allowed"] if call.arguments["allowed"] is not None and not masks else []
    if asked:
        raise UnsupportedError(f"{device} scores all rows by nits, without {', '.join(asked)}")


def mined(call: Call, queries: npt.NDArray[np.int8], by_nits: Scores, by_signs: Scores) -> dict[str, Any]:
    """Return the result of any call of ``mine``, on a device that scores all rows.

    Parameters
    ----------
    call : Call
        Call of ``mine``.
    queries : int8 array of shape (Q, D)
        Nits of its queries.
    by_nits, by_signs : callable
        Functions that return the scores of all rows by nits, and their coarse scores.
    """
    eligible = eligible_rows(call, queries)
    if call.options["scan"] == "nits":
        return selected(by_nits(queries), call.options["k"], eligible)
    keep = call.options["k"] * call.options["oversample"]
    return rescored(call, queries, selected(by_signs(queries), keep, eligible))


def rescored(call: Call, queries: npt.NDArray[np.int8], found: dict[str, Any]) -> dict[str, Any]:
    """Return the result of ``mine`` from its candidates: the best k by nits, ties by row number.

    Parameters
    ----------
    call : Call
        Call of ``mine``.
    queries : int8 array of shape (Q, D)
        Nits of its queries.
    found : dict of str to array
        Values of ``candidates``.
    """
    k = call.options["k"]
    ids, scores = empty(len(queries), k, np.int32)
    count = np.minimum(found["count"], k)
    for query, number in enumerate(found["count"].tolist()):
        rows = np.sort(found["ids"][query, :number])
        columns, top = best(scored(call, queries[query : query + 1], rows)[0], k)
        ids[query, : count[query]], scores[query, : count[query]] = rows[columns], top
    return {"ids": ids, "scores": scores, "count": count}


def scored(call: Call, queries: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return the scores of some rows by nits, int32 (Q, n).

    Parameters
    ----------
    call : Call
        Call of ``mine``.
    queries : int8 array of shape (Q, D)
        Nits.
    rows : int64 array of shape (n,)
        Rows of its database.
    """
    packed, dimensions = joined_rows(call.database(), "nits"), call.sizes["D"]
    wide = queries.astype(np.float32)  # exact: products of nits sum to less than 2**24
    scores = np.empty((len(queries), len(rows)), np.int32)
    step = max(1, _BLOCK // dimensions)
    for first in range(0, len(rows), step):
        nits = unpack(packed[rows[first : first + step]], dimensions)
        scores[:, first : first + step] = wide @ nits.T.astype(np.float32)
    return scores
