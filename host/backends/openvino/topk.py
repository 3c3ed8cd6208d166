"""topk by OpenVINO."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.host.graphs import Graph, Target
from ninefold.host.selection import empty
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["run", "topk"]

_QUERIES = 256


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Keep the k largest scores of each row."""
    device.check_exact()
    scores, names, k = np.asarray(call.arguments["scores"]), call.arguments["ids"], call.options["k"]
    with device.timed() as metrics:
        ids, best = empty(len(scores), k, scores.dtype)
        kept = min(k, scores.shape[1])
        for first in range(0, len(scores) if kept else 0, _QUERIES):
            part = slice(first, first + _QUERIES)
            columns, best[part, :kept] = topk(device, scores[part], kept)
            ids[part, :kept] = columns if names is None else np.asarray(names)[columns]
        count = np.full(len(scores), kept, np.int64)
    return Answer({"ids": ids, "scores": best, "count": count}, device.path("graph"), metrics)


def topk(device: "OpenVinoDevice", scores: npt.NDArray[Any], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return columns and values of the k largest scores of each row (Q, N), 1 <= k <= N; ties by column."""
    target = device.target
    size = target.size(scores.shape[1])
    key = ("topk", scores.dtype.name, k, size)
    columns, values = device.graph(key, lambda: _graph(target, scores.dtype, k, size))(scores)
    return columns.astype(np.int64), values


def _graph(target: Target, dtype: npt.DTypeLike, k: int, size: int) -> Graph:
    op = target.op
    scores = op.parameter([target.rows, size], dtype)
    # Unless it is told to be stable, it returns equal scores in any order.
    found = op.topk(scores, op.constant(np.int32(k)), 1, "max", "value", index_element_type="i32", stable=True)
    return target.compile([scores], [found.output(1), found.output(0)])
