"""``topk`` on the CPU."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked, Selection, empty
from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6
#: Rows and columns selected together by NumPy, and scores in one call of the kernel.
_QUERIES, _COLUMNS, _SCORES = 256, 1 << 14, 1 << 26


def run(device: "CpuDevice", call: Call) -> Answer:
    """Keep the k largest scores of each row."""
    scores, names, k = np.asarray(call.arguments["scores"]), call.arguments["ids"], call.options["k"]
    kernel = device.engine.kernel
    with device.timed() as metrics:
        ids, best = _by_numpy(scores, k) if kernel is None else _by_kernel(kernel, scores, k)
        if names is not None and scores.shape[1]:
            ids = np.where(ids == NO_ID, NO_ID, np.asarray(names)[ids])
        count = np.full(len(scores), min(k, scores.shape[1]), np.int64)
    values = {"ids": ids, "scores": best, "count": count}
    return Answer(values, "numpy" if kernel is None else device.path, metrics)


def _by_kernel(kernel: Kernel, scores: npt.NDArray[Any], k: int) -> Ranked:
    ids, best = empty(len(scores), k, scores.dtype)
    columns = scores.shape[1]
    kept = min(k, columns)
    for part in blocks(len(scores), max(1, _SCORES // max(1, columns))):
        some = np.ascontiguousarray(scores[part])
        kernel("topk", some, *some.shape, int(some.dtype.kind == "f"), k, ids[part])
        best[part, :kept] = np.take_along_axis(some, ids[part, :kept], axis=1)
    return ids, best


def _by_numpy(scores: npt.NDArray[Any], k: int) -> Ranked:
    ids, best = empty(len(scores), k, scores.dtype)
    for queries in blocks(len(scores), _QUERIES):
        selection = Selection(queries.stop - queries.start, k, scores.dtype)
        for columns in blocks(scores.shape[1], _COLUMNS):
            selection.offer(scores[queries, columns], columns.start)
        ids[queries], best[queries] = selection.ids, selection.scores
    return ids, best
