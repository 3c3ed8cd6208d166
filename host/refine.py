"""What `mine` does after a device: the adaptive threshold and reranking."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN, NO_ID

__all__ = ["adaptive", "float_scores", "refine", "rerank"]


def refine(
    values: Mapping[str, npt.NDArray[Any]],
    q: npt.NDArray[np.float32],
    k: int,
    threshold: str | None = None,
    vectors: npt.NDArray[np.float16] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Apply the options of ``mine`` to what a device returned.

    Parameters
    ----------
    values : mapping of str to array
        ``ids`` int64 (Q, K), ``scores`` int32 (Q, K) and ``count`` int64 (Q,), K >= k.
    q : float32 array of shape (Q, D)
        The queries.
    k : int
        How many slots the result has.
    threshold : {None, 'adaptive'}
        Whether `adaptive` judges the integer scores first.
    vectors : float16 array of shape (N, D), optional
        What to rerank with; without them the scores stay integers.

    Returns
    -------
    dict of str to array
        ``ids`` int64 (Q, k), ``scores`` int32 or, reranked, float64 (Q, k), ``count`` int64 (Q,); slots from ``count``
        on hold -1 and INT32_MIN or minus infinity.
    """
    queries = len(values["ids"])
    empty, dtype = (INT32_MIN, np.int32) if vectors is None else (-np.inf, np.float64)
    ids, scores = np.full((queries, k), NO_ID, np.int64), np.full((queries, k), empty, dtype)
    count = np.zeros(queries, np.int64)
    for row in range(queries):
        found = int(values["count"][row])
        best, score = values["ids"][row, :found], values["scores"][row, :found]
        if threshold == "adaptive":
            kept = adaptive(score)
            best, score = best[kept], score[kept]
        if vectors is not None:
            best, score = rerank(q[row], best, vectors)
        count[row] = n = min(k, len(best))
        ids[row, :n], scores[row, :n] = best[:n], score[:n]
    return {"ids": ids, "scores": scores, "count": count}


def adaptive(scores: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Mark the scores that are at least their mean plus half their standard deviation, exactly.

    Parameters
    ----------
    scores : int32 array of shape (n,)

    Returns
    -------
    bool array of shape (n,)
        With S the sum and SS the sum of squares: n s - S >= 0 and 4 (n s - S)**2 >= n SS - S**2.
    """
    # Python's integers: with n = 256 and D = 4096 the squares already need 50 bits, and callers may bring more.
    values = [int(s) for s in scores]
    n, total, squares = len(values), sum(values), sum(s * s for s in values)
    spread = n * squares - total**2
    return np.array([n * s >= total and 4 * (n * s - total) ** 2 >= spread for s in values], np.bool_)


def rerank(
    query: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: npt.NDArray[np.float16]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Score rows again with the stored vectors.

    Parameters
    ----------
    query : float32 array of shape (D,)
    ids : int64 array of shape (n,)
        Rows of `vectors`.
    vectors : float16 array of shape (N, D)
        May be memory-mapped; only the rows asked for are read.

    Returns
    -------
    ids : int64 array of shape (n,)
        The largest score first, ties by id.
    scores : float64 array of shape (n,)
    """
    scores = float_scores(query[None], vectors[ids])[0]
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def float_scores(q: npt.NDArray[np.float32], vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return dot products whose bits are the same on every machine.

    Parameters
    ----------
    q : float32 array of shape (Q, D)
    vectors : float16 or float32 array of shape (N, D)
        Widened to float32.

    Returns
    -------
    float64 array of shape (Q, N)
        Products and sums in float64, in index order: a matrix product would choose its own order.
    """
    queries = q.astype(np.float64)
    if len(q) == 1:
        # The same sums, row by row: running ones keep the order. Added to 0 as below, none is -0.
        products = vectors.astype(np.float32) * queries
        return np.add.accumulate(products, axis=1, out=products)[:, -1:].T + 0.0
    columns = np.ascontiguousarray(vectors.astype(np.float32).T, np.float64)
    total = np.zeros((len(q), columns.shape[1]))
    product = np.empty_like(total)
    for d, column in enumerate(columns):
        np.multiply(queries[:, d, None], column, out=product)
        total += product
    return total
