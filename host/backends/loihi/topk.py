"""``topk`` on Loihi."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import empty, sortable
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .sorter import DIGIT_BITS

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "keys", "run"]

RATING = 3


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Keep the k largest scores of each row."""
    scores, names, k = np.asarray(call.arguments["scores"]), call.arguments["ids"], call.options["k"]
    ids, best = empty(len(scores), k, scores.dtype)
    count = min(k, scores.shape[1])
    sorter = device.sorter(scores.shape[1])
    with device.timed(sorter.cores) as metrics:
        for row, row_ids, row_best in zip(scores, ids, best, strict=True):
            positions = sorter.best(keys(row), k)
            row_best[:count] = row[positions]
            row_ids[:count] = positions if names is None else np.asarray(names)[positions]
    values = {"ids": ids, "scores": best, "count": np.full(len(scores), count, np.int64)}
    return Answer(values, f"{device.path}, {DIGIT_BITS} bits of the scores per race", metrics)


def keys(scores: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return uint32 keys in the order of int32 or float32 scores, equal for equal scores (-0 equals 0)."""
    return sortable(scores).view(np.uint32) ^ np.uint32(1 << 31)
