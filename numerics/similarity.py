"""Fixed-point division of similarity scores by the lengths of vectors."""

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import RECIPROCAL_BITS

__all__ = ["normalised", "reciprocals"]


def reciprocals(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the factors of ``normalised`` similarity, which is ``(score * factor) >> 8``.

    Parameters
    ----------
    vectors : float32 array of shape (N, D)
        Nits.

    Returns
    -------
    int64 array of shape (N,)
        2**16 / length of each row as (isqrt(2**34 // n) + 1) >> 1, n its sum of squares; 0 for a row of zeros.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors).astype(np.int64)
    # The quotient fits a double and its square root is correctly rounded, so the floor is the integer root.
    roots = np.sqrt((1 << RECIPROCAL_BITS) // np.maximum(squares, 1)).astype(np.int64)
    return np.where(squares == 0, 0, (roots + 1) >> 1)


def normalised(scores: npt.NDArray[np.int32], factors: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return scores (Q, N) times `reciprocals` (N,), shifted right by 8 bits with the sign (floor)."""
    return ((scores * factors) >> 8).astype(np.int32)
