"""``similarity`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.similarity import reciprocals
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .engine import blocks

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6

_QUERIES, _BLOCK_BYTES = 256, 4 << 20


def run(device: "CpuDevice", call: Call) -> Answer:
    """Score every query against every vector in blocks of float32, which holds the sums (below 2**24) exactly."""
    q, c = np.asarray(call.arguments["q"]), np.asarray(call.arguments["c"])
    with device.timed() as metrics:
        scores = np.empty((len(q), len(c)), np.int32)
        for rows in blocks(len(c), max(1, _BLOCK_BYTES // (4 * call.sizes["D"]))):
            block = c[rows].astype(np.float32)
            factors = reciprocals(block) if call.options["normalised"] else None
            for queries in blocks(len(q), _QUERIES):
                plain = q[queries].astype(np.float32) @ block.T
                scores[queries, rows] = plain if factors is None else (plain.astype(np.int64) * factors) >> 8
    return Answer({"scores": scores}, "numpy", metrics)
