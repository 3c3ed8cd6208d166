"""``topk`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.ranked import Selection, empty
from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from .engines import blocks

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6

_QUERIES, _COLUMNS = 256, 1 << 14


def run(device: "CpuDevice", call: Call) -> Answer:
    """Keep the k largest scores of each row."""
    scores, names, k = np.asarray(call.arguments["scores"]), call.arguments["ids"], call.options["k"]
    with device.timed() as metrics:
        ids, best = empty(len(scores), k, scores.dtype)
        for queries in blocks(len(scores), _QUERIES):
            selection = Selection(queries.stop - queries.start, k, scores.dtype)
            for columns in blocks(scores.shape[1], _COLUMNS):
                selection.offer(scores[queries, columns], columns.start)
            ids[queries], best[queries] = selection.ids, selection.scores
        if names is not None and scores.shape[1]:
            ids = np.where(ids == NO_ID, NO_ID, np.asarray(names)[ids])
        count = np.full(len(scores), min(k, scores.shape[1]), np.int64)
    return Answer({"ids": ids, "scores": best, "count": count}, "numpy", metrics)
