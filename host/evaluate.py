"""Recall, precision and NDCG of an index against exact float search.

Rows of zeros have no nearest rows, and equal rows tie. To keep both from flattering an index, zero rows are not used as
queries, and rows that tie for the last place of the exact list do not count. Both numbers are reported.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index, Snapshot
from ninefold.host.refine import float_scores, rerank
from ninefold.host.scheduler import Scheduler
from ninefold.spec.errors import InputError, UnsupportedError
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS
from ninefold.spec.progress import step

__all__ = ["Evaluation", "Quality", "count_rows", "evaluate", "exact", "ndcg"]

K = 10
RERANKED_FROM = 40
QUERIES = 500
#: Values of ``oversample`` whose recall is measured.
OVERSAMPLES = (1, 2, 4, 8, 16, 32)
#: Numbers of clusters whose recall is measured, with all lists of each, and ``oversample`` there.
MACROS, CLUSTERED_OVERSAMPLE = (4, 8, 16, 24, 32, 48), 8
SEED = 9
#: Rows scored together, so that the sums of `QUERIES` queries stay in a core's cache.
_BLOCK = 512


@dataclass(frozen=True)
class Quality:
    """Quality of one search method against exact search, as means over the queries.

    Attributes
    ----------
    name : str
        Search method.
    recall : float
        Fraction of the exact nearest rows that are among the 10 found.
    precision : float
        Fraction of the first n found that are among the n exact nearest; n is 10, or less if rows tie or are few.
    ndcg : float
        Normalised discounted cumulative gain at 10: the nearest row gains n, the next n - 1, and so on.
    """

    name: str
    recall: float
    precision: float
    ndcg: float


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    queries : int
        Number of rows used as queries.
    zero_rows : int
        Number of rows whose vector is all zeros; these are not used as queries.
    equal_rows : int
        Number of rows with the same vector as another row, except zeros.
    undecided : int
        Number of sampled rows left out because ties leave no row certainly among the 10 nearest.
    chance : float
        Recall of 10 random rows: 1 for an index of up to 11 rows, whose figures have no meaning.
    qualities : tuple of Quality
        ``plain`` and ``reranked from 40``.
    signs : tuple of Quality
        Scans of signs that keep 1, 2, 4, ... times 40 rows, reranked from the best 40 of these by nits, in an index
        with clusters also in 4, 8, ... of these; empty if the device does not scan signs.
    answered_by, path : str
        Device, and its method.
    seconds : float
        Time of the device for all queries, in seconds.
    """

    queries: int
    zero_rows: int
    equal_rows: int
    undecided: int
    chance: float
    qualities: tuple[Quality, ...]
    signs: tuple[Quality, ...]
    answered_by: str
    path: str
    seconds: float


def evaluate(index: Index, device: str = "auto") -> Evaluation:
    """Search for 500 seeded rows, excluding each row itself, and compare with exact search over the float vectors.

    Parameters
    ----------
    index : Index
        Index of at least two rows, with float vectors.
    device : str
        Name of the device that searches.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        The index has no float vectors, only one row, or no row with nearest rows.
    """
    with index.snapshot() as snapshot:
        return _evaluated(snapshot, device)


def _evaluated(index: Snapshot, device: str) -> Evaluation:
    vectors, count = index.vectors, len(index)
    if count < 2:
        raise InputError(f"{index.called} has {count} row; an evaluation needs at least 2")
    nonzero, equal = count_rows(vectors)
    if len(nonzero) == 0:
        raise InputError(f"{index.called} cannot be evaluated: all its {count} vectors are zeros")
    sample = np.random.default_rng(SEED).choice(len(nonzero), min(QUERIES, len(nonzero)), replace=False)
    rows = nonzero[np.sort(sample)]
    truth = exact(np.asarray(vectors[rows], np.float32), vectors, rows, K)
    decided = [at for at, nearest in enumerate(truth) if len(nearest)]
    if not decided:
        raise InputError(
            f"{index.called} cannot be evaluated: {count - len(nonzero)} of its {count} vectors are zeros and "
            f"{equal} equal another, so none has nearest rows"
        )
    rows, truth = rows[decided], [truth[at] for at in decided]
    q = np.asarray(vectors[rows], np.float32)
    with step(f"searching {len(rows)} entries"), Scheduler() as scheduler:
        start = time.perf_counter()
        # Strict: figures of another device than requested would mislead.
        result = index.mine(q, device=device, strict=True, scheduler=scheduler, k=min(RERANKED_FROM + 1, count))
        seconds = time.perf_counter() - start
        signs = _signs(index, scheduler, device, q, rows, truth)
    plain, reranked = [], []
    for query, row, ids in zip(q, rows, result.values["ids"], strict=True):
        others = ids[(ids != row) & (ids >= 0)][:RERANKED_FROM]
        plain.append(others[:K])
        reranked.append(rerank(query[None], others[None], vectors)[0][0, :K])
    ways = (("plain", plain), (f"reranked from {RERANKED_FROM}", reranked))
    return Evaluation(
        queries=len(rows),
        zero_rows=count - len(nonzero),
        equal_rows=equal,
        undecided=len(sample) - len(rows),
        chance=min(1.0, K / (count - 1)),
        qualities=tuple(_quality(name, found, truth) for name, found in ways),
        signs=signs,
        answered_by=result.answered_by,
        path=result.path,
        seconds=result.metrics.get("seconds", seconds),
    )


def _signs(
    index: Snapshot,
    scheduler: Scheduler,
    device: str,
    q: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    truth: list[npt.NDArray[np.int64]],
) -> tuple[Quality, ...]:
    """Return the quality of scans of signs on a device; empty if it does not scan them."""
    found = []
    fixed: dict[str, Any] = {"scan": "signs", "rerank": RERANKED_FROM // K, "k": K + 1}
    ways: dict[str, dict[str, Any]] = {
        f"signs, {oversample} x {RERANKED_FROM}, reranked": {"oversample": oversample} for oversample in OVERSAMPLES
    }
    for macro in MACROS if index.generation.centroid_scale is not None else ():
        name = f"signs, {CLUSTERED_OVERSAMPLE} x {RERANKED_FROM}, in {macro} of {MACRO_CLUSTERS} clusters, reranked"
        ways[name] = {"oversample": CLUSTERED_OVERSAMPLE, "macro": macro, "micro": MICRO_CLUSTERS}
    for name, options in ways.items():
        try:
            result = index.mine(q, device=device, strict=True, scheduler=scheduler, **fixed, **options)
        except UnsupportedError:
            return ()
        lists = [ids[(ids != row) & (ids >= 0)][:K] for ids, row in zip(result.values["ids"], rows, strict=True)]
        found.append(_quality(name, lists, truth))
    return tuple(found)


def count_rows(vectors: npt.NDArray[np.float16]) -> tuple[npt.NDArray[np.int64], int]:
    """Return the rows that are not all zeros, int64 ascending, and the number of them that equal another row.

    Parameters
    ----------
    vectors : float16 array of shape (N, D)
    """
    # Rows are compared by a random linear hash modulo 2**64, which takes 8 bytes per row.
    weights = np.random.default_rng(SEED).integers(0, 2**64, vectors.shape[1], np.uint64)
    hashes = np.empty(len(vectors), np.uint64)
    nonzero = np.empty(len(vectors), bool)
    for first in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[first : first + _BLOCK]) + np.float16(0)  # turns -0 into 0
        nonzero[first : first + _BLOCK] = block.any(axis=1)
        hashes[first : first + _BLOCK] = (block.view(np.uint16) * weights).sum(axis=1, dtype=np.uint64)
    copies = np.unique(hashes[nonzero], return_counts=True)[1]
    return np.flatnonzero(nonzero), int(copies[copies > 1].sum())


def exact(
    q: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float16],
    rows: npt.NDArray[np.int64],
    k: int,
) -> list[npt.NDArray[np.int64]]:
    """Return for each query the nearest rows by exact float search, best first, ties by id, except the query itself.

    These are the k nearest rows. Rows that tie with the row after them are left out, as none of them is nearer.

    Parameters
    ----------
    q : float32 array of shape (Q, D)
    vectors : float16 array of shape (N, D)
    rows : int64 array of shape (Q,)
        Row number of each query.
    k : int
    """
    ids = np.zeros((len(q), 0), np.int64)
    scores = np.zeros((len(q), 0))
    with step("searching exactly", len(vectors)) as searching:
        for first in range(0, len(vectors), _BLOCK):
            block = np.asarray(vectors[first : first + _BLOCK])
            numbers = np.broadcast_to(np.arange(first, first + len(block)), (len(q), len(block)))
            ids = np.concatenate([ids, numbers], axis=1)
            scores = np.concatenate([scores, float_scores(q, block)], axis=1)
            # The sort is stable and earlier blocks come first, so of equal scores the smaller id stays ahead.
            order = np.argsort(-scores, axis=1, kind="stable")[:, : k + 2]
            ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
            searching.at(first + len(block), len(vectors))
    nearest = []
    for found, reached, row in zip(ids, scores, rows, strict=True):
        others = np.flatnonzero(found != row)
        # The k nearest must score more than the next row, if there is one.
        limit = reached[others[k]] if len(others) > k else -np.inf
        nearest.append(found[others[:k]][reached[others[:k]] > limit])
    return nearest


def ndcg(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """Return the normalised discounted cumulative gain of a list against the exact one.

    Parameters
    ----------
    found, truth : int64 array of shape (n,)
        Ids, best first. With m the length of `truth`, its first id gains m, the next m - 1, and so on; rank r, from 1,
        is discounted by log2(r + 1).
    """
    gains = {int(i): len(truth) - rank for rank, i in enumerate(truth)}
    got = sum(gains.get(int(i), 0) / math.log2(rank + 2) for rank, i in enumerate(found))
    return got / sum((len(truth) - rank) / math.log2(rank + 2) for rank in range(len(truth)))


def _quality(name: str, found: list[npt.NDArray[np.int64]], truth: list[npt.NDArray[np.int64]]) -> Quality:
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
    return Quality(
        name,
        float(np.mean([h / len(b) for h, b in zip(hits, truth, strict=True)])),
        float(np.mean([_precision(a, b) for a, b in zip(found, truth, strict=True)])),
        float(np.mean([ndcg(a, b) for a, b in zip(found, truth, strict=True)])),
    )


def _precision(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    first = found[: len(truth)]
    return len(np.intersect1d(first, truth)) / max(1, len(first))
