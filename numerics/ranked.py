"""Ranked lists: the k largest scores by (score descending, id ascending), their merge, and empty lists."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN, NO_ID

__all__ = ["Ranked", "Selection", "best", "empty", "merged", "sortable"]

#: Ids int64 (..., k) and scores (..., k), best first. Empty slots hold NO_ID, and INT32_MIN or minus infinity.
Ranked = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]


def empty(queries: int, k: int, dtype: npt.DTypeLike) -> Ranked:
    """Return ids (Q, k) and scores (Q, k) of empty results."""
    ids, scores = np.empty((queries, k), np.int64), np.empty((queries, k), dtype)
    ids[:] = NO_ID
    scores[:] = -np.inf if scores.dtype.kind == "f" else INT32_MIN
    return ids, scores


def best(scores: npt.NDArray[Any], k: int) -> Ranked:
    """Return columns and values of the k largest scores of each row (..., N), at most N, ties by column."""
    columns = np.argsort(_descending(scores), axis=-1, kind="stable")[..., :k]
    return columns, np.take_along_axis(scores, columns, axis=-1)


def merged(ids: npt.NDArray[np.int64], scores: npt.NDArray[Any], k: int) -> Ranked:
    """Return the k best results of several lists, by (score descending, id ascending).

    Parameters
    ----------
    ids : int64 array of shape (..., N)
        Ids of the results of all lists, side by side in any order; NO_ID in empty slots.
    scores : array of shape (..., N)
        Scores of these ids, of any real type.
    k : int
        Number of results to keep.

    Returns
    -------
    ids : int64 array of shape (..., min(k, N))
        Best first, empty slots last.
    scores : array of shape (..., min(k, N))
        Scores of these ids.
    """
    # Read as an unsigned number, NO_ID is the largest id, so an empty slot follows a result with the lowest score.
    order = np.lexsort((ids.view(np.uint64), _descending(scores)))[..., :k]
    return np.take_along_axis(ids, order, axis=-1), np.take_along_axis(scores, order, axis=-1)


def sortable(scores: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return int32 keys in the order of int32 or float32 scores, equal for equal scores (-0 equals 0)."""
    if scores.dtype != np.float32:
        return scores.astype(np.int32, copy=False)
    bits = (scores + np.float32(0)).view(np.int32)  # -0 + 0 is 0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


class Selection:
    """The k best scores so far, for several queries at once, block by block, without sorting all scores.

    Ties are broken by arrival.

    Parameters
    ----------
    queries : int
        Number of queries, Q.
    k : int
        Number of results per query.
    dtype : dtype
        Type of the scores, any real type.

    Attributes
    ----------
    ids : int64 array of shape (Q, k)
        Positions of the best scores, best first; NO_ID from `count` on.
    scores : array of shape (Q, k)
        Scores in the same order; INT32_MIN, or minus infinity for floats, from `count` on.
    count : int
        Number of slots with a result.
    """

    def __init__(self, queries: int, k: int, dtype: npt.DTypeLike) -> None:
        self.k = k
        self.count = 0
        self.ids, self.scores = empty(queries, k, dtype)

    def offer(self, block: npt.NDArray[Any], first: int) -> None:
        """Add scores (Q, B) of the positions first, first + 1, ..., which follow all earlier positions.

        In addition to `block` this needs a mask of its size and, for the first blocks only, a copy.
        """
        # Computed from flat positions, which NumPy finds several times faster than pairs.
        query, column = np.divmod(np.flatnonzero(self._candidates(block)), max(block.shape[1], 1))
        kept = np.arange(self.count)
        # Kept scores arrived before the block, so a stable sort by score leaves equal scores in order of arrival.
        queries = np.concatenate([np.repeat(np.arange(len(block)), self.count), query])
        scores = np.concatenate([self.scores[:, kept].ravel(), block[query, column].astype(self.scores.dtype)])
        ids = np.concatenate([self.ids[:, kept].ravel(), column + first])
        order = np.lexsort((_descending(scores), queries))
        queries = queries[order]
        rank = np.arange(len(order)) - np.searchsorted(queries, np.arange(len(block)))[queries]
        best = rank < self.k
        self.ids[queries[best], rank[best]] = ids[order[best]]
        self.scores[queries[best], rank[best]] = scores[order[best]]
        self.count = min(self.k, self.count + block.shape[1])

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the number of results of each query, int64 of shape (Q,)."""
        return np.full(len(self.ids), self.count, np.int64)

    def _candidates(self, block: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return a mask (Q, B) of the scores that may be among the best k."""
        if self.count == self.k:  # a later score never displaces an equal one
            return np.asarray(block > self.scores[:, -1:])
        if block.shape[1] <= self.k:
            return np.ones(block.shape, np.bool_)
        bar = np.partition(block, block.shape[1] - self.k, axis=1)[:, block.shape[1] - self.k, None]
        return np.asarray(block >= bar)


def _descending(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return -scores if scores.dtype.kind == "f" else -scores.astype(np.int64)
