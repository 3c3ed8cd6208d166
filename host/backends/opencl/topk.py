"""``topk`` on OpenCL: partial lists on the device, merged on the host."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.ranked import empty
from ninefold.spec.data import Answer
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from .memory import ROWS_MAX
from .merging import best_keys, positions

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 5, "npu": 4, "cpu": 3}

#: Scores in one launch.
_SCORES = 1 << 24


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Keep the k largest scores of each row."""
    scores, names, k = np.asarray(call.arguments["scores"]), call.arguments["ids"], call.options["k"]
    queries, columns = scores.shape
    if columns > ROWS_MAX:
        raise UnsupportedError(
            f"{device.name} numbers columns with 32 bits, so it takes at most {ROWS_MAX:,} columns, not {columns:,}"
        )
    kernels = device.kernels()
    with device.timed() as metrics:
        ids, best = empty(queries, k, scores.dtype)
        count = min(k, columns)
        step = max(1, _SCORES // max(1, columns))
        for start in range(0, queries if columns else 0, step):
            rows = scores[start : start + step]
            found = [
                kernels.topk(np.ascontiguousarray(rows[:, first : first + _SCORES]), first, k)
                for first in range(0, columns, _SCORES)
            ]
            kept = positions(best_keys(np.concatenate(found, axis=1), k)[:, :count])
            best[start : start + step, :count] = np.take_along_axis(rows, kept, axis=1)
            ids[start : start + step, :count] = kept
        if names is not None and columns:
            ids = np.where(ids == NO_ID, NO_ID, np.asarray(names)[ids])
    counts = np.full(queries, count, np.int64)
    return Answer({"ids": ids, "scores": best, "count": counts}, kernels.path, metrics)
