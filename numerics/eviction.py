"""Scores of entries of a bounded memory, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators.eviction_score import ANCHORED

__all__ = ["eviction_scores"]

_Array = npt.NDArray[Any]


def eviction_scores(
    age: _Array, resonance: _Array, uses: _Array, stability: _Array, density: _Array, anchored: _Array
) -> npt.NDArray[np.float64]:
    """Return the scores of the operator ``eviction_score``, in double precision.

    Parameters
    ----------
    age, resonance, uses, stability, density, anchored : array of shape (N,)
        As the operator takes them; they are not checked.

    Returns
    -------
    float64 array of shape (N,)
    """
    score = np.multiply(resonance, uses, dtype=np.float64)
    np.power(score, 0.6, out=score)
    score += 1e-6
    np.divide(age, score, out=score)
    score *= np.subtract(1, stability, dtype=np.float64)
    score *= np.exp(0.5 * density.astype(np.float64))
    score[anchored.astype(bool)] = ANCHORED
    return score
