"""Known-answer test that a board must pass before it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["KnownAnswer", "answer_of", "known_answer", "pack_nits"]

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
    return answer_of(pack_nits(rows), k)


def answer_of(rows: npt.NDArray[np.uint8], k: int) -> KnownAnswer:
    """Return the test that searches rows of packed nits, uint8 (N, D / 2), for the min(k, N) best."""
    rng = np.random.default_rng(_SEED + 1)
    dimensions = 2 * rows.shape[1]
    extremes = np.array([0, NIT_MAX, NIT_MIN], np.int8)[:, None].repeat(dimensions, axis=1)
    random = rng.integers(NIT_MIN, NIT_MAX, (_RANDOM_QUERIES, dimensions), endpoint=True).astype(np.int8)
    queries = np.concatenate([random, extremes])
    # Floats multiply faster and represent these sums exactly.
    scores = (queries.astype(np.float32) @ _unpacked(rows).T).astype(np.int32)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return KnownAnswer(rows, pack_nits(queries), ids, np.take_along_axis(scores, ids, axis=1))


def pack_nits(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Return rows of an even number of nits as packed nits, two per byte, the first in the low nibble."""
    nibbles = nits.view(np.uint8) & np.uint8(15)
    return nibbles[..., 0::2] | nibbles[..., 1::2] << np.uint8(4)


def _unpacked(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    # Shifting signed bytes up and down extends the sign of a nibble.
    signed = rows.view(np.int8)
    nits = np.stack([signed << np.int8(4) >> np.int8(4), signed >> np.int8(4)], axis=-1)
    return nits.reshape(len(rows), -1).astype(np.float32)
