"""How much of exact float search an index finds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index
from ninefold.host.refine import float_scores, rerank
from ninefold.host.scheduler import Scheduler
from ninefold.spec.errors import InputError

__all__ = ["Evaluation", "Quality", "evaluate", "exact", "ndcg"]

K = 10
RERANKED_FROM = 40
QUERIES = 500
SEED = 9
#: Rows scored together: the sums of `QUERIES` queries then stay in a core's cache.
_BLOCK = 512


@dataclass(frozen=True)
class Quality:
    """How near one way of searching comes to exact search, means over the queries.

    Attributes
    ----------
    name : str
        The way.
    recall, precision : float
        Of the 10 exact nearest, the part that was found; of what was found, the part that is among them.
    ndcg : float
        Normalised discounted cumulative gain at 10: the gain of the exact nearest is 10, of the next 9, and so on.
    """

    name: str
    recall: float
    precision: float
    ndcg: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.

    Attributes
    ----------
    queries : int
        How many rows were searched.
    qualities : tuple of Quality
        ``plain`` and ``reranked from 40``.
    answered_by, path : str
        Device, and how it computed.
    seconds : float
        Time of the device for all queries.
    """

    queries: int
    qualities: tuple[Quality, ...]
    answered_by: str
    path: str
    seconds: float


def evaluate(index: Index, device: str = "auto", progress: Callable[[str, int, int], None] | None = None) -> Evaluation:
    """Search 500 seeded rows, each with itself left out, and compare with exact search over the float vectors.

    Parameters
    ----------
    index : Index
        Of two rows or more, with float vectors.
    device : str
        What searches.
    progress : callable, optional
        ``progress(stage, done, total)``.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        When the index has no float vectors, or one row only.
    """
    vectors, count = index.vectors, len(index)
    if count < 2:
        raise InputError(f"{index.folder} has {count} row; an evaluation needs at least 2")
    rows = np.sort(np.random.default_rng(SEED).choice(count, min(QUERIES, count), replace=False))
    q = np.asarray(vectors[rows], np.float32)
    truth = exact(q, vectors, rows, K, progress)
    with Scheduler() as scheduler:
        start = time.perf_counter()
        # Strict: figures of another device than the one asked for would mislead.
        result = index.mine(q, device=device, strict=True, scheduler=scheduler, k=min(RERANKED_FROM + 1, count))
        seconds = time.perf_counter() - start
    plain, reranked = [], []
    for query, row, ids in zip(q, rows, result.values["ids"], strict=True):
        others = ids[(ids != row) & (ids >= 0)][:RERANKED_FROM]
        plain.append(others[:K])
        reranked.append(rerank(query[None], others[None], vectors)[0][0, :K])
    ways = (("plain", plain), (f"reranked from {RERANKED_FROM}", reranked))
    qualities = tuple(_quality(name, found, truth) for name, found in ways)
    return Evaluation(len(rows), qualities, result.answered_by, result.path, result.metrics.get("seconds", seconds))


def exact(
    q: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float16],
    rows: npt.NDArray[np.int64],
    k: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[npt.NDArray[np.int64]]:
    """Return for each query the k nearest rows by exact float search, best first, ties by id, itself left out.

    Parameters
    ----------
    q : float32 array of shape (Q, D)
    vectors : float16 array of shape (N, D)
    rows : int64 array of shape (Q,)
        Which row each query is.
    k : int
    progress : callable, optional
        ``progress("exact", done, total)``.
    """
    ids = np.zeros((len(q), 0), np.int64)
    scores = np.zeros((len(q), 0))
    for first in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[first : first + _BLOCK])
        numbers = np.broadcast_to(np.arange(first, first + len(block)), (len(q), len(block)))
        ids = np.concatenate([ids, numbers], axis=1)
        scores = np.concatenate([scores, float_scores(q, block)], axis=1)
        # Stable, and earlier blocks stand first: of equal scores the smaller id stays ahead.
        order = np.argsort(-scores, axis=1, kind="stable")[:, : k + 1]
        ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
        if progress:
            progress("exact", first + len(block), len(vectors))
    return [found[found != row][:k] for found, row in zip(ids, rows, strict=True)]


def ndcg(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """Return the normalised discounted cumulative gain of a list against the exact one.

    Parameters
    ----------
    found, truth : int64 array of shape (n,)
        Ids, best first. With m the length of `truth`, the gain of its first is m, of the next m - 1, and so on; rank r
        from 1 is discounted by log2(r + 1).
    """
    gains = {int(i): len(truth) - rank for rank, i in enumerate(truth)}
    got = sum(gains.get(int(i), 0) / math.log2(rank + 2) for rank, i in enumerate(found))
    return got / sum((len(truth) - rank) / math.log2(rank + 2) for rank in range(len(truth)))


def _quality(name: str, found: list[npt.NDArray[np.int64]], truth: list[npt.NDArray[np.int64]]) -> Quality:
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
    return Quality(
        name,
        float(np.mean([h / len(b) for h, b in zip(hits, truth, strict=True)])),
        float(np.mean([h / max(1, len(a)) for h, a in zip(hits, found, strict=True)])),
        float(np.mean([ndcg(a, b) for a, b in zip(found, truth, strict=True)])),
    )
