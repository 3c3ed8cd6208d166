"""similarity on the CPU."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer
from ninefold.spec.formats import RECIPROCAL_BITS
from ninefold.spec.signature import Call

from .engines import blocks

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["reciprocals", "run"]

_QUERIES, _BLOCK_BYTES = 256, 4 << 20


def run(device: "CpuDevice", call: Call) -> Answer:
    """Score every query against every vector, in blocks of float32, in which the sums (below 2**24) are exact."""
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


def reciprocals(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return 2**16 / length of each row (N, D) of nits, (isqrt(2**34 // n) + 1) >> 1, 0 for a row of zeros."""
    squares = np.einsum("nd,nd->n", vectors, vectors).astype(np.int64)
    # A double holds the quotient and its square root is rounded correctly, so the floor is the integer root.
    roots = np.sqrt((1 << RECIPROCAL_BITS) // np.maximum(squares, 1)).astype(np.int64)
    return np.where(squares == 0, 0, (roots + 1) >> 1)
