"""Known-answer test that a board must pass before it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack, signed_nibbles
from ninefold.numerics.ranked import best
from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["KEEP", "KnownAnswer", "answer_of", "candidates_of", "known_rows"]

#: Maximum number of candidates per query in the test of a board of design signs.
KEEP = 64
_SEED = 9
_RANDOM_QUERIES = 3


@dataclass(frozen=True)
class KnownAnswer:
    """Rows, queries and their correct results.

    Attributes
    ----------
    rows : uint8 array of shape (N, D / 2)
        Packed nits.
    queries : uint8 array of shape (Q, D / 2)
        Packed nits: random ones, all zeros (all scores equal), and those with the largest and smallest
        possible scores.
    ids : int64 array of shape (Q, K)
        Ids of the results, best first.
    scores : int32 array of shape (Q, K)
        Scores of these ids; coarse scores for a board of design signs.
    allowed : uint8 array of shape (ceil(N / 8),) or None
        Mask of the rows that may be results; None if all may.
    """

    rows: npt.NDArray[np.uint8]
    queries: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int32]
    allowed: npt.NDArray[np.uint8] | None = None


def known_rows(dimensions: int, depth: int, k: int) -> npt.NDArray[np.uint8]:
    """Return the rows of the test for a board of this size: 2 k, at most `depth`, so that some rows are left out.

    Parameters
    ----------
    dimensions, depth : int
        Parameters of the board.
    k : int
        Results per query.

    Returns
    -------
    uint8 array of shape (min(depth, 2 k), dimensions / 2)
        Packed nits.
    """
    rng = np.random.default_rng(_SEED)
    count = min(depth, 2 * k)
    rows = rng.integers(NIT_MIN, NIT_MAX, (count, dimensions), endpoint=True).astype(np.int8)
    rows[count // 2] = NIT_MAX  # together with the extreme queries: the largest and the smallest possible score
    return pack(rows)


def answer_of(rows: npt.NDArray[np.uint8], k: int) -> KnownAnswer:
    """Return the test that searches rows of packed nits, uint8 (N, D / 2), for the min(k, N) best."""
    queries = _queries(2 * rows.shape[1])
    scores = _products(queries, signed_nibbles(rows))
    return KnownAnswer(rows, pack(queries), *best(scores, k))


def candidates_of(rows: npt.NDArray[np.uint8], keep: int) -> list[KnownAnswer]:
    """Return the tests that scan the signs of rows of packed nits, uint8 (N, D / 2), for the `keep` best.

    The first allows all rows, the second only some: a random half and the last row.
    """
    queries = _queries(2 * rows.shape[1])
    scores = _products(queries, np.where(signed_nibbles(rows) < 0, np.int8(-1), np.int8(1)))
    some = np.random.default_rng(_SEED + 2).random(len(rows)) < 0.5
    some[-1] = True
    ids = np.flatnonzero(some)
    columns, found = best(scores[:, ids], keep)
    everything = KnownAnswer(rows, pack(queries), *best(scores, keep))
    return [everything, KnownAnswer(rows, pack(queries), ids[columns], found, np.packbits(some, bitorder="little"))]


def _queries(dimensions: int) -> npt.NDArray[np.int8]:
    rng = np.random.default_rng(_SEED + 1)
    extremes = np.array([0, NIT_MAX, NIT_MIN], np.int8)[:, None].repeat(dimensions, axis=1)
    random = rng.integers(NIT_MIN, NIT_MAX, (_RANDOM_QUERIES, dimensions), endpoint=True).astype(np.int8)
    return np.concatenate([random, extremes])


def _products(queries: npt.NDArray[np.int8], rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """Return the dot products; floats multiply faster and represent these sums exactly."""
    return (queries.astype(np.float32) @ rows.astype(np.float32).T).astype(np.int32)
