"""``similarity`` on OpenCL: the vectors are packed and scored by the kernels for databases."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.nits import pack
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 6, "npu": 5, "cpu": 3}

#: Vectors and queries in one launch, so that the scores on the device stay below 65 MiB.
_ROWS, _QUERIES = 1 << 16, 256


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Score every query against every vector."""
    q, c = np.asarray(call.arguments["q"]), np.asarray(call.arguments["c"])
    kernels = device.kernels(call.sizes["D"])
    with device.timed() as metrics:
        scores = np.empty((len(q), len(c)), np.int32)
        for first in range(0, len(c) if len(q) else 0, _ROWS):
            rows = device.memory.rows(pack(c[first : first + _ROWS]), first)
            lengths = None
            if call.options["normalised"]:
                lengths = device.memory.allocate(4 * rows.count)
                kernel = device.launcher.kernel(("similarity.cl",), "reciprocals")
                shape = (rows.buffer, np.int32(rows.columns), np.uint32(rows.count))
                device.launcher.launch(kernel, (rows.count,), None, *shape, lengths)
            for start in range(0, len(q), _QUERIES):
                block = q[start : start + _QUERIES]
                out, pitch = kernels.scores(rows, block)
                if lengths is not None:
                    kernel = device.launcher.kernel(("similarity.cl",), "normalise")
                    size = (rows.count, len(block))
                    device.launcher.launch(kernel, size, None, out, np.uint64(pitch), np.uint32(rows.count), lengths)
                device.launcher.read(out, scores[start : start + _QUERIES, first : first + _ROWS], pitch)
    return Answer({"scores": scores}, kernels.path, metrics)
