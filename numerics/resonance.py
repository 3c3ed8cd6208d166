"""Cosines of the angles between complex vectors, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["cosines", "unit_vectors"]

_Array = npt.NDArray[Any]

#: Numbers of vectors that are widened to double precision at once.
_BLOCK = 1 << 20


def unit_vectors(x: _Array) -> _Array:
    """Return vectors divided by their lengths, in double precision; zero vectors stay zero.

    Parameters
    ----------
    x : complex64 or float32 array of shape (N, D)
        Finite vectors.

    Returns
    -------
    complex128 or float64 array of shape (N, D)
    """
    # In double precision no square of a float32 number is lost or infinite.
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    parts = wide.view(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", parts, parts))
    parts /= np.where(lengths == 0, 1, lengths)[:, None]
    return wide


def cosines(a: _Array, b: _Array) -> npt.NDArray[np.float64]:
    """Return |<a, b>| / (|a| |b|) for each pair of vectors: at most 1, and 0 for a zero vector.

    Parameters
    ----------
    a : complex64 or float32 array of shape (Q, D)
        Finite vectors.
    b : complex64 or float32 array of shape (N, D)
        Finite vectors.

    Returns
    -------
    float64 array of shape (Q, N)
    """
    found = np.empty((len(a), len(b)))
    rows = max(1, _BLOCK // max(1, a.shape[1]))
    units = unit_vectors(a).conj()
    for first in range(0, len(b), rows):
        part = unit_vectors(b[first : first + rows])
        np.abs(units @ part.T, out=found[:, first : first + rows])
    return np.minimum(found, 1, out=found)
