"""Adaptive threshold and reranking of ``mine``, applied to a device's results."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Database
from ninefold.spec.formats import INT32_MIN, NO_ID

__all__ = [
    "Reranking",
    "StoredVectors",
    "Vectors",
    "accelerate",
    "adaptive",
    "float_scores",
    "refine",
    "rerank",
    "stored_vectors",
]

#: Vector components reranked together, so that intermediate results stay in the processor's cache.
_TOGETHER = 1 << 19
#: Below this number scores are summed row by row, otherwise all at once, one dimension after another.
_FEW = 256


class StoredVectors(Sequence[npt.NDArray[Any]]):
    """Vectors of a database, which stay the same: one array, or the arrays of several parts.

    Attributes
    ----------
    prepared : object
        What the function given to `accelerate` makes of them once; None before.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[Any]]) -> None:
        self._arrays = tuple(arrays)
        self.prepared: Any = None

    @overload
    def __getitem__(self, at: int) -> npt.NDArray[Any]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[npt.NDArray[Any]]: ...

    def __getitem__(self, at: int | slice) -> npt.NDArray[Any] | Sequence[npt.NDArray[Any]]:
        return self._arrays[at]

    def __len__(self) -> int:
        return len(self._arrays)


#: Vectors of databases in use.
_stored: weakref.WeakKeyDictionary[Database, StoredVectors] = weakref.WeakKeyDictionary()


def stored_vectors(database: Database) -> StoredVectors:
    """Return the vectors of a database, or of those that it joins; `InputError` if one has none."""
    found = _stored.get(database)
    if found is None:
        found = _stored[database] = StoredVectors([part.require("vectors") for part in database.parts])
    return found


#: Stored vectors: one array of shape (N, D), or the rows of several arrays, one after another.
Vectors = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]
#: Function with the arguments and results of `rerank`; None for arrays that it does not take.
Reranking = Callable[
    [npt.NDArray[np.float32], npt.NDArray[np.int64], Vectors],
    tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None,
]
_faster: Reranking | None = None


def accelerate(faster: Reranking) -> None:
    """Use a backend's function for reranking from now on.

    Parameters
    ----------
    faster : callable
        ``faster(q, ids, vectors)`` returns the same bits as this module, or None for arrays that it does not take.
    """
    global _faster  # noqa: PLW0603 - backends are not known here
    _faster = faster


def refine(
    values: Mapping[str, npt.NDArray[Any]],
    q: npt.NDArray[np.float32],
    k: int,
    threshold: str | None = None,
    vectors: Vectors | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Apply the options of ``mine`` to a device's results.

    Parameters
    ----------
    values : mapping of str to array
        ``ids`` int64 (Q, K), ``scores`` int32 (Q, K) and ``count`` int64 (Q,), K >= k.
    q : float32 array of shape (Q, D)
        The queries.
    k : int
        Number of slots of the result.
    threshold : {None, 'adaptive'}
        If 'adaptive', first keep only the integer scores that `adaptive` marks.
    vectors : float16 array of shape (N, D) or sequence of arrays, optional
        Vectors for reranking, of several arrays the rows one after another; without them the scores stay integers.

    Returns
    -------
    dict of str to array
        ``ids`` int64 (Q, k), ``scores`` int32 or, reranked, float64 (Q, k), ``count`` int64 (Q,); slots from ``count``
        on contain -1 and INT32_MIN or minus infinity.
    """
    ids, scores, count = values["ids"], values["scores"], values["count"]
    if threshold == "adaptive":
        ids, scores, count = _judged(ids, scores, count)
    if vectors is not None:
        ids, scores = rerank(q, ids, vectors)
    empty = INT32_MIN if vectors is None else -np.inf
    refined = np.full((len(ids), k), NO_ID, np.int64), np.full((len(ids), k), empty, scores.dtype)
    kept = min(k, ids.shape[1])
    for wide, narrow in zip((ids, scores), refined, strict=True):
        narrow[:, :kept] = wide[:, :kept]
    return {"ids": refined[0], "scores": refined[1], "count": np.minimum(count, k)}


def _judged(
    ids: npt.NDArray[np.int64], scores: npt.NDArray[np.int32], count: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Keep the results that `adaptive` marks, moved to the front."""
    judged = np.full_like(ids, NO_ID), np.full_like(scores, INT32_MIN), np.zeros_like(count)
    for row, found in enumerate(count.tolist()):
        marked = adaptive(scores[row, :found])
        judged[2][row] = n = int(marked.sum())
        judged[0][row, :n], judged[1][row, :n] = ids[row, :found][marked], scores[row, :found][marked]
    return judged


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
    # Python integers: with n = 256 and D = 4096 the squares already need 50 bits, and callers may pass more.
    values = [int(s) for s in scores]
    n, total, squares = len(values), sum(values), sum(s * s for s in values)
    spread = n * squares - total**2
    return np.array([n * s >= total and 4 * (n * s - total) ** 2 >= spread for s in values], np.bool_)


def rerank(
    q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: Vectors
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Recompute the scores of each query's rows with the stored vectors.

    Parameters
    ----------
    q : float32 array of shape (Q, D)
    ids : int64 array of shape (Q, n)
        Rows of `vectors` for each query; -1 in empty slots.
    vectors : float16 array of shape (N, D) or sequence of arrays
        Stored vectors, possibly memory-mapped; only the rows in `ids` are read.

    Returns
    -------
    ids : int64 array of shape (Q, n)
        Rows by falling score, ties by id; empty slots last.
    scores : float64 array of shape (Q, n)
        Scores as in `float_scores`; minus infinity in empty slots.
    """
    ranked = None if _faster is None else _faster(q, ids, vectors)
    return _ranked(q, ids, vectors) if ranked is None else ranked


def _ranked(
    q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: Vectors
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    scores = _row_scores(q, ids, vectors)
    order = np.lexsort((ids, -scores))
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _row_scores(q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: Vectors) -> npt.NDArray[np.float64]:
    """Return the dot products of each query with its rows; minus infinity in empty slots."""
    scores = np.empty(ids.shape)
    together = max(1, _TOGETHER // max(1, ids.shape[1] * q.shape[1]))
    for first in range(0, len(ids), together):
        part = slice(first, first + together)
        scores[part] = _dot(q[part], _gathered(vectors, np.maximum(ids[part], 0)))
    scores[ids == NO_ID] = -np.inf
    return scores


def _gathered(vectors: Vectors, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return rows by their numbers, of shape (..., D)."""
    if isinstance(vectors, np.ndarray):
        return np.asarray(vectors[numbers])
    found = np.empty((*numbers.shape, vectors[0].shape[1]), vectors[0].dtype)
    first = 0
    for array in vectors:
        inside = (numbers >= first) & (numbers < first + len(array))
        found[inside] = array[numbers[inside] - first]
        first += len(array)
    return found


def float_scores(q: npt.NDArray[np.float32], vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return dot products whose bits are the same on every machine.

    Parameters
    ----------
    q : float32 array of shape (Q, D)
    vectors : float16 or float32 array of shape (N, D)

    Returns
    -------
    float64 array of shape (Q, N)
        Products and sums in float64, in index order, unlike a matrix product, which chooses its own order.
    """
    return _dot(q, vectors[None])


def _dot(q: npt.NDArray[np.float32], rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the dot products of each query, (Q, D), with its own rows, (Q, n, D), or with shared rows, (1, n, D)."""
    queries = q.astype(np.float64)
    if len(q) * rows.shape[1] < _FEW:
        # Running sums keep the order. Adding 0, as the loop below does, turns -0 into 0.
        products = rows.astype(np.float64) * queries[:, None]
        return np.add.accumulate(products, axis=2, out=products)[:, :, -1] + 0.0
    columns = np.ascontiguousarray(np.moveaxis(rows, 2, 0)).astype(np.float64)
    total = np.zeros((len(q), rows.shape[1]))
    product = np.empty_like(total)
    for d, column in enumerate(columns):
        np.multiply(queries[:, d, None], column, out=product)
        total += product
    return total
