"""Golden model of ``topk``."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call

__all__ = ["run", "topk"]


def topk(
    scores: npt.NDArray[Any], k: int, ids: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return ids (Q, k), scores (Q, k) and count (Q,) of the k largest in each row; ties go to the earlier one."""
    queries, n = scores.shape
    best_ids = np.full((queries, k), NO_ID, np.int64)
    empty = -np.inf if scores.dtype.kind == "f" else INT32_MIN
    best_scores = np.full((queries, k), empty, scores.dtype)
    for row in range(queries):
        values = scores[row].tolist()
        order = sorted(range(n), key=lambda i: (-values[i], i))[:k]
        for slot, i in enumerate(order):
            best_ids[row, slot] = i if ids is None else ids[i]
            best_scores[row, slot] = scores[row, i]
    return best_ids, best_scores, np.full(queries, min(n, k), np.int64)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    ids, scores, count = topk(call.arguments["scores"], call.options["k"], call.arguments["ids"])
    return {"ids": ids, "scores": scores, "count": count}
