"""Known-answer test that a board must pass before it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack, signed_nibbles
from ninefold.numerics.ranked import best
from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["KnownAnswer", "answer_of", "known_answer"]

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
        Scores of these ids.
    """

    rows: npt.NDArray[np.uint8]
    queries: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int32]


def known_answer(dimensions: int, depth: int, k: int) -> KnownAnswer:
    """Return the test for a board of this size, with 2 k rows (at most `depth`) so that some rows are left out.

    Parameters
    ----------
    dimensions, depth, k : int
        Parameters of the board.
    """
    rng = np.random.default_rng(_SEED)
    count = min(depth, 2 * k)
    rows = rng.integers(NIT_MIN, NIT_MAX, (count, dimensions), endpoint=True).astype(np.int8)
    rows[count // 2] = NIT_MAX  # together with the extreme queries: the largest and the smallest possible score
    return answer_of(pack(rows), k)


def answer_of(rows: npt.NDArray[np.uint8], k: int) -> KnownAnswer:
    """Return the test that searches rows of packed nits, uint8 (N, D / 2), for the min(k, N) best."""
    rng = np.random.default_rng(_SEED + 1)
    dimensions = 2 * rows.shape[1]
    extremes = np.array([0, NIT_MAX, NIT_MIN], np.int8)[:, None].repeat(dimensions, axis=1)
    random = rng.integers(NIT_MIN, NIT_MAX, (_RANDOM_QUERIES, dimensions), endpoint=True).astype(np.int8)
    queries = np.concatenate([random, extremes])
    # Floats multiply faster and represent these sums exactly.
    scores = (queries.astype(np.float32) @ signed_nibbles(rows).astype(np.float32).T).astype(np.int32)
    return KnownAnswer(rows, pack(queries), *best(scores, k))
