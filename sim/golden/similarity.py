"""Golden model of ``similarity``."""

from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call

__all__ = ["reciprocal", "run", "similarity"]


def reciprocal(squares: int) -> int:
    """Return 2**16 / sqrt(squares), rounded as (isqrt(2**34 // squares) + 1) >> 1; 0 where squares is 0."""
    return (isqrt(2**34 // squares) + 1) >> 1 if squares else 0


def similarity(q: npt.NDArray[np.int8], c: npt.NDArray[np.int8], normalised: bool = False) -> npt.NDArray[np.int32]:
    """Return the integer dot products (Q, N) of nits (Q, D) and (N, D)."""
    scores = q.astype(np.int64) @ c.astype(np.int64).T
    if normalised:
        for i, row in enumerate(c.astype(np.int64)):
            scores[:, i] = (scores[:, i] * reciprocal(int((row * row).sum()))) >> 8
    return scores.astype(np.int32)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    return {"scores": similarity(call.arguments["q"], call.arguments["c"], call.options["normalised"])}
