"""Golden model of ``mine``, its stages and its options."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN, NO_ID, Mode
from ninefold.spec.signature import Call

from .packed import unpack
from .quantise import quantise
from .similarity import similarity
from .topk import topk

__all__ = ["best_lists", "coarse_score", "eligible", "float_score", "mine", "passes_threshold", "run"]


def passes_threshold(score: int, scores: list[int]) -> bool:
    """Return whether `score` is at least mean plus half a standard deviation of `scores`, in integer arithmetic."""
    n, total, squares = len(scores), sum(scores), sum(s * s for s in scores)
    above = n * score - total
    return above >= 0 and 4 * above**2 >= n * squares - total**2


def float_score(query: npt.NDArray[np.float32], vector: npt.NDArray[np.float16]) -> float:
    """Return the dot product with the stored vector widened to float32, summed in float64 in index order."""
    total = 0.0
    for a, b in zip(query.astype(np.float32).tolist(), vector.astype(np.float32).tolist(), strict=True):
        total += a * b
    return total


def coarse_score(query: npt.NDArray[np.int8], row: npt.NDArray[np.int8]) -> int:
    """Return the sum of a query's nits, each negated where the row's nit is negative."""
    return sum(-a if b < 0 else a for a, b in zip(query.tolist(), row.tolist(), strict=True))


def best_lists(
    query: npt.NDArray[np.int8], macro: npt.NDArray[np.int8], micro: npt.NDArray[np.int8], clusters: int, lists: int
) -> list[tuple[int, int]]:
    """Return (list, score) of the best lists of each of the best clusters, best first, ties by number.

    `macro` has 64 centroids and `micro` 1,024, of which the 16 from 16 i on belong to cluster i.
    """

    def ranked(numbers: Sequence[int], centroids: npt.NDArray[np.int8]) -> list[tuple[int, int]]:
        scored = [(i, int(query.astype(np.int64) @ centroids[i].astype(np.int64))) for i in numbers]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))

    chosen = []
    for cluster, _ in ranked(range(64), macro)[:clusters]:
        chosen += ranked(range(16 * cluster, 16 * cluster + 16), micro)[:lists]
    return sorted(chosen, key=lambda pair: (-pair[1], pair[0]))


def mine(
    q: npt.NDArray[np.float32],
    nits: npt.NDArray[np.int8],
    scale: float,
    mode: Mode,
    k: int,
    threshold: str | None = None,
    rerank: int | None = None,
    vectors: npt.NDArray[np.float16] | None = None,
    oversample: int | None = None,
    among: Sequence[Sequence[int]] | None = None,
) -> list[list[tuple[int, float]]]:
    """Return for each query the list of (id, score), best first.

    `oversample` is the option of ``scan="signs"``, or None to score all rows by nits. `among` are the rows of each
    query that may be returned, in ascending order; by default all. The threshold filters the integer scores of the
    rerank * k best. The remaining hits are rescored and cut to k.
    """
    answers: list[list[tuple[int, float]]] = []
    for i, query in enumerate(quantise(q, scale, mode)):
        rows = list(range(len(nits)) if among is None else among[i])
        if oversample is not None:
            coarse = {row: coarse_score(query, nits[row]) for row in rows}
            rows = sorted(sorted(rows, key=lambda row: (-coarse[row], row))[: k * (rerank or 1) * oversample])
        scores = similarity(query[None], nits[rows])
        ids, best, count = topk(scores, k * (rerank or 1), np.array(rows, np.int64))
        hits = [(int(ids[0, slot]), int(best[0, slot])) for slot in range(count[0])]
        if threshold == "adaptive":
            returned = [s for _, s in hits]
            hits = [(row, s) for row, s in hits if passes_threshold(s, returned)]
        if rerank is None:
            answers.append([(row, s) for row, s in hits])
            continue
        if vectors is None:
            raise ValueError("rerank needs the float vectors")
        again = [(row, float_score(q[i], vectors[row])) for row, _ in hits]
        answers.append(sorted(again, key=lambda hit: (-hit[1], hit[0]))[:k])
    return answers


def eligible(call: Call) -> list[list[int]]:
    """Return the rows of each query that ``allowed``, ``macro`` and ``micro`` leave, in ascending order."""
    database, dimensions, allowed = call.database(), call.sizes["D"], call.arguments["allowed"]
    rows = range(call.sizes["N"])
    if allowed is not None:
        rows = [row for row in rows if allowed[row // 8] >> row % 8 & 1]  # type: ignore[assignment]
    if call.options["macro"] is None:
        return [list(rows)] * call.sizes["Q"]
    macro, micro = (unpack(np.asarray(database.require(name)), dimensions) for name in ("macro", "micro"))
    order, starts = database.require("order"), database.require("starts")
    found = []
    for query in quantise(call.arguments["q"], float(database.attributes["scale"]), database.attributes["mode"]):  # type: ignore[arg-type]
        lists = best_lists(query, macro, micro, call.options["macro"], call.options["micro"])
        inside = {int(row) for number, _ in lists for row in order[starts[number] : starts[number + 1]]}
        found.append([row for row in rows if row in inside])
    return found


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    database, options = call.database(), call.options
    nits = unpack(np.asarray(database.require("nits")), call.sizes["D"])
    vectors = database.require("vectors") if options["rerank"] else None
    scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
    k, rerank = options["k"], options["rerank"]
    oversample = options["oversample"] if options["scan"] == "signs" else None
    plain = call.arguments["allowed"] is None and options["macro"] is None
    settings = (scale, mode, k, options["threshold"], rerank, vectors, oversample, None if plain else eligible(call))
    answers = mine(call.arguments["q"], nits, *settings)  # type: ignore[arg-type]
    ids = np.full((len(answers), k), NO_ID, np.int64)
    scores = np.full((len(answers), k), -np.inf if rerank else INT32_MIN, np.float64 if rerank else np.int32)
    for row, hits in enumerate(answers):
        for slot, (i, score) in enumerate(hits):
            ids[row, slot], scores[row, slot] = i, score
    return {"ids": ids, "scores": scores, "count": np.array([len(a) for a in answers], np.int64)}
