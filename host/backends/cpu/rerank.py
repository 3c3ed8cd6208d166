"""Reranking by the kernel, with the same bits as `ninefold.host.refine` gives alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import JoinedRows

from .engine import blocks
from .kernel import Kernel

__all__ = ["rerank"]


def rerank(
    kernel: Kernel, q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: npt.NDArray[Any] | JoinedRows
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    """Return the result of `ninefold.host.refine.rerank`, or None if the kernel cannot compute it.

    Parameters
    ----------
    kernel : Kernel
        Compiled code.
    q : float32 array of shape (Q, D)
        Queries.
    ids : int64 array of shape (Q, n)
        Rows for each query; -1 in empty slots.
    vectors : array or JoinedRows of shape (N, D)
        Stored rows; the kernel takes float16.

    Returns
    -------
    ids : int64 array of shape (Q, n)
        Rows by falling dot product, summed in float64 in index order; ties by id, empty slots last.
    scores : float64 array of shape (Q, n)
        Dot products.
    """
    if isinstance(vectors, np.ndarray):
        if not vectors.flags.c_contiguous:
            return None
        vectors = JoinedRows([vectors])
    if vectors.dtype != np.float16 or q.dtype != np.float32:
        return None
    ranked, scores = np.empty_like(ids), np.empty(ids.shape)
    for part in blocks(len(ids), max(1, kernel.products // max(1, ids.shape[1] * q.shape[1]))):
        some, rows = np.ascontiguousarray(q[part]), np.ascontiguousarray(ids[part])
        stored = vectors.table, len(vectors.table), rows, rows.shape[1]
        kernel("rerank", some, *some.shape, *stored, ranked[part], scores[part])
    return ranked, scores
