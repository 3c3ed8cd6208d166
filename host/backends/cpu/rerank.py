"""Dot products with stored float16 rows by the kernel, with the same bits as `ninefold.host.refine` gives alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import blocks
from .kernel import Kernel

__all__ = ["dot_products"]


def dot_products(
    kernel: Kernel, q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: npt.NDArray[Any]
) -> npt.NDArray[np.float64] | None:
    """Return the dot products of queries with some rows, or None if the kernel cannot compute them.

    Parameters
    ----------
    kernel : Kernel
        Compiled code.
    q : float32 array of shape (Q, D)
        Queries.
    ids : int64 array of shape (Q, n)
        Rows for each query; a negative one gives minus infinity.
    vectors : array of shape (N, D)
        Stored rows; the kernel takes float16.

    Returns
    -------
    float64 array of shape (Q, n) or None
        Products and sums in float64, in index order.
    """
    if vectors.dtype != np.float16 or not vectors.flags.c_contiguous or q.dtype != np.float32:
        return None
    scores = np.empty(ids.shape)
    for part in blocks(len(ids), max(1, kernel.products // max(1, ids.shape[1] * q.shape[1]))):
        some, rows = np.ascontiguousarray(q[part]), np.ascontiguousarray(ids[part])
        kernel("rerank", some, *some.shape, vectors, rows, rows.shape[1], scores[part])
    return scores
