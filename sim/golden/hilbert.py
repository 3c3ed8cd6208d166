"""Golden model of ``hilbert``: Skilling's transform of one point, with Python's integers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["index_of", "run"]


def index_of(point: Sequence[int], bits: int) -> int:
    """Return the index of a point; each coordinate has `bits` bits."""
    x = list(point)
    # Undo the turns and reflections of each level, from the highest bit down.
    for q in range(bits - 1, 0, -1):
        below = (1 << q) - 1
        for i in range(len(x)):
            if x[i] >> q & 1:
                x[0] ^= below
            else:
                differing = (x[0] ^ x[i]) & below
                x[0] ^= differing
                x[i] ^= differing
    # Gray code across the coordinates, and its parity down the bits.
    for i in range(1, len(x)):
        x[i] ^= x[i - 1]
    turned = 0
    for q in range(bits - 1, 0, -1):
        if x[-1] >> q & 1:
            turned ^= (1 << q) - 1
    index = 0
    for q in range(bits - 1, -1, -1):
        for coordinate in x:
            index = index << 1 | (coordinate ^ turned) >> q & 1
    return index


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    indices = [index_of(point, call.options["bits"]) for point in call.arguments["coords"].tolist()]
    return {"index": np.array(indices, np.uint64)}
