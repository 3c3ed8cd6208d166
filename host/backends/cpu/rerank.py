"""Reranking by the kernel, with the same bits as `ninefold.host.refine` gives alone."""

from typing import cast

import numpy as np
import numpy.typing as npt

from ninefold.host.refine import StoredVectors, Vectors
from ninefold.numerics.databases import JoinedRows

from .engine import blocks
from .kernel import Kernel

__all__ = ["rerank"]


def rerank(
    kernel: Kernel, q: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], vectors: Vectors
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
    vectors : array of shape (N, D), or sequence of arrays
        Stored rows; the kernel takes float16.

    Returns
    -------
    ids : int64 array of shape (Q, n)
        Rows by falling dot product, summed in float64 in index order; ties by id, empty slots last.
    scores : float64 array of shape (Q, n)
        Dot products.
    """
    all_rows = _rows(vectors)
    if q.dtype != np.float32 or all_rows is None:
        return None
    ranked, scores = np.empty_like(ids), np.empty(ids.shape)
    for part in blocks(len(ids), max(1, kernel.products // max(1, ids.shape[1] * q.shape[1]))):
        some, rows = np.ascontiguousarray(q[part]), np.ascontiguousarray(ids[part])
        stored = all_rows.table, len(all_rows.arrays), rows, rows.shape[1]
        kernel("rerank", some, *some.shape, *stored, ranked[part], scores[part])
    return ranked, scores


def _rows(vectors: Vectors) -> JoinedRows | None:
    """Return the rows of vectors, or None if the kernel cannot read them. Rows of a database are made once."""
    if isinstance(vectors, StoredVectors) and vectors.prepared is not None:
        return cast(JoinedRows, vectors.prepared)
    arrays = [vectors] if isinstance(vectors, np.ndarray) else vectors
    if any(one.dtype != np.float16 or not one.flags.c_contiguous for one in arrays):
        return None
    rows = JoinedRows(arrays)
    if isinstance(vectors, StoredVectors):
        vectors.prepared = rows
    return rows
