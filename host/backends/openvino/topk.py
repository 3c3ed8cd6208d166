"""``topk`` by OpenVINO."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.numerics.ranked import empty
from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run", "topk"]

RATING = {"gpu": 6, "npu": 3, "cpu": 3}

#: Queries of one selection, and scores in a group, which is skipped if its largest score is too low.
_QUERIES, _GROUP = 64, 32


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
    # Selecting groups first pays off only with more than twice the scores in k groups.
    grouped = scores.shape[1] > 2 * _GROUP * k
    if grouped and scores.shape[1] % _GROUP:
        lowest = -np.inf if scores.dtype.kind == "f" else INT32_MIN
        padding = ((0, 0), (0, -scores.shape[1] % _GROUP))  # after all scores, so that it never ranks among the best
        scores = np.pad(scores, padding, constant_values=lowest)
    size = target.size(scores.shape[1])
    key = ("topk", scores.dtype.name, k, grouped, size)
    columns, values = device.graph(key, lambda: _graph(target, scores.dtype, k, grouped, size))(scores)
    return columns.astype(np.int64), values


def _graph(target: Target, dtype: npt.DTypeLike, k: int, grouped: bool, size: int) -> Graph:
    scores = target.op.parameter([target.rows, size], dtype)
    columns, values = _grouped(target.op, scores, k) if grouped else _largest(target.op, scores, k)
    return target.compile([scores], [columns, values])


def _largest(op: Any, scores: Any, k: int) -> tuple[Any, Any]:
    # Without stable=True equal scores are returned in any order.
    found = op.topk(scores, op.constant(np.int32(k)), 1, "max", "value", index_element_type="i32", stable=True)
    return found.output(1), found.output(0)


def _grouped(op: Any, scores: Any, k: int) -> tuple[Any, Any]:
    """Select the k largest scores from the k groups with the largest scores, ties by column.

    This is exact: if one of the k largest were in another group, each of the k groups would contain a score ranked
    before it.
    """
    axis, width = op.constant(np.int64(1)), op.constant(np.int32(_GROUP))
    groups = op.reshape(scores, op.constant(np.array([0, -1, _GROUP], np.int64)), True)
    # Not reduce_max, which computes in float32 and so treats close integers as equal.
    first = op.topk(groups, op.constant(np.int32(1)), 2, "max", "none", index_element_type="i32")
    largest = op.squeeze(first.output(0), op.constant(np.array([2], np.int64)))
    ranked, _ = _largest(op, largest, k)
    # Groups in order of columns, so that equal scores stay in order.
    chosen = op.topk(ranked, op.constant(np.int32(k)), 1, "min", "value", index_element_type="i32").output(0)
    inside = op.reshape(op.gather(groups, chosen, axis, 1), op.constant(np.array([0, k * _GROUP], np.int64)), True)
    places, values = _largest(op, inside, k)
    starts = op.multiply(op.gather(chosen, op.divide(places, width), axis, 1), width)
    return op.add(starts, op.floor_mod(places, width)).output(0), values
