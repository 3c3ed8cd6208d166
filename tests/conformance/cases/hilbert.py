"""Cases of ``hilbert``: a small curve in full, and one of nine dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["CURVES", "cases", "words"]

#: Dimensions and bits of curves. Other sizes are in the tests of the host, as each is a core of its own in simulation.
CURVES = ((2, 3), (9, 7))


def words(rng: np.random.Generator, count: int, bits: int) -> npt.NDArray[np.uint64]:
    """Random integers of some bits, the least and the greatest among them."""
    drawn = rng.integers(0, (1 << bits) - 1, count, np.uint64, endpoint=True)
    drawn[: min(2, count)] = [0, (1 << bits) - 1][: min(2, count)]
    return drawn


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["hilbert"].bind
    for dimensions, bits in CURVES:
        coords = words(rng, 130 * dimensions, bits).reshape(-1, dimensions)
        coords[1] = (1 << bits) - 1
        yield f"{dimensions} x {bits} bits", bind({"coords": coords}, {"bits": bits})
    plane = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), axis=-1).reshape(-1, 2)
    yield "every point of a plane", bind({"coords": plane}, {"bits": 3})
    yield "one point", bind({"coords": np.array([[1, 2]], np.uint32)}, {"bits": 3})
    yield "every second", bind({"coords": plane.astype(np.uint64)[::2, ::-1]}, {"bits": 3})
    yield "no points", bind({"coords": plane[:0]}, {"bits": 3})
