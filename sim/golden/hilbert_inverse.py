"""Golden model of ``hilbert_inverse``: Skilling's transform backwards, with Python's integers."""

from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["point_of", "run"]


def point_of(index: int, dimensions: int, bits: int) -> list[int]:
    """Return the point at an index; each coordinate has `bits` bits."""
    x = [0] * dimensions
    for q in range(bits):
        for i in range(dimensions):
            x[i] |= (index >> (q * dimensions + dimensions - 1 - i) & 1) << q
    # Undo the Gray code of the whole index.
    turned = x[-1] >> 1
    for i in range(dimensions - 1, 0, -1):
        x[i] ^= x[i - 1]
    x[0] ^= turned
    # Redo the turns and reflections of each level, from the lowest bit up.
    for q in range(1, bits):
        below = (1 << q) - 1
        for i in range(dimensions - 1, -1, -1):
            if x[i] >> q & 1:
                x[0] ^= below
            else:
                differing = (x[0] ^ x[i]) & below
                x[0] ^= differing
                x[i] ^= differing
    return x


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    dimensions, bits = call.options["dimensions"], call.options["bits"]
    points = [point_of(index, dimensions, bits) for index in call.arguments["index"].tolist()]
    return {"coords": np.array(points, np.uint64).reshape(-1, dimensions)}
