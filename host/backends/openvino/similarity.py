"""``similarity`` by OpenVINO."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.numerics.similarity import reciprocals
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 6, "npu": 3, "cpu": 3}

#: Bytes of float32 vectors, and of scores, in one call of the graph; and queries in one call.
_BLOCK_BYTES = 1 << 24
_QUERIES = 256


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Score every query against every vector; all sums are below 2**24 and so exact in float32."""
    device.check_exact()
    q, c = (np.asarray(call.arguments[name]).astype(np.float32) for name in ("q", "c"))
    normalised = call.options["normalised"]
    with device.timed() as metrics:
        scores = np.empty((len(q), len(c)), np.int32)
        step = max(1, _BLOCK_BYTES // (4 * max(q.shape[1], _QUERIES)))
        for first in range(0, len(c), step):
            rows = c[first : first + step]
            inputs = [rows, *_halves(rows)] if normalised else [rows]
            graph = _graph(device, normalised, len(rows), q.shape[1])
            for start in range(0, len(q), _QUERIES):
                part = slice(start, start + _QUERIES)
                scores[part, first : first + step] = graph(q[part], *inputs)[0]
    return Answer({"scores": scores}, device.path("graph"), metrics)


def _halves(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Return each reciprocal, at most 2**16, as high and low byte."""
    found = reciprocals(rows)
    return [(found >> 8).astype(np.float32), (found & 255).astype(np.float32)]


def _graph(device: "OpenVinoDevice", normalised: bool, rows: int, dimensions: int) -> Graph:
    shape = (device.target.size(rows), device.target.size(dimensions))
    return device.graph(("similarity", normalised, *shape), lambda: _build(device.target, normalised, *shape))


def _build(target: Target, normalised: bool, rows: int, dimensions: int) -> Graph:
    op = target.op
    q, c = op.parameter([target.rows, dimensions], np.float32), op.parameter([rows, dimensions], np.float32)
    scores = op.matmul(q, c, False, True)
    inputs = [q, c]
    if normalised:
        # (score * (256 high + low)) >> 8 without a product of 2**24 or more, so that all are exact in float32.
        high, low = op.parameter([rows], np.float32), op.parameter([rows], np.float32)
        below = op.floor(op.multiply(op.multiply(scores, low), op.constant(np.float32(1 / 256))))
        scores = op.add(op.multiply(scores, high), below)
        inputs += [high, low]
    return target.compile(inputs, [op.convert(scores, "i32").output(0)])
