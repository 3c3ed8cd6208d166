"""Conversion of keys to results: ids, scores and counts."""

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import empty

__all__ = ["best_keys", "positions", "results"]

_EMPTY = np.iinfo(np.int64).min


def best_keys(keys: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the k greatest keys of each row, greatest first: (Q, any) -> (Q, k), empty slots last."""
    queries, found = keys.shape
    if found > k:
        keys = np.partition(keys, found - k, axis=1)[:, found - k :]
    best = np.full((queries, k), _EMPTY)
    best[:, : keys.shape[1]] = np.sort(keys, axis=1)[:, ::-1]
    return best


def positions(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the ids contained in keys."""
    return ~keys & 0xFFFFFFFF


def results(keys: npt.NDArray[np.int64], count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return ids (Q, k) and integer scores (Q, k) of sorted keys, the first `count` of which are results."""
    ids, scores = empty(keys.shape[0], keys.shape[1], np.int32)
    ids[:, :count] = positions(keys[:, :count])
    scores[:, :count] = keys[:, :count] >> 32
    return ids, scores
