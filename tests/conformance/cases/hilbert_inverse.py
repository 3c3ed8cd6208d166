"""Cases of ``hilbert_inverse``, of the sizes that ``hilbert`` has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .hilbert import CURVES, words

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["hilbert_inverse"].bind
    for dimensions, bits in CURVES:
        options = {"dimensions": dimensions, "bits": bits}
        yield f"{dimensions} x {bits} bits", bind({"index": words(rng, 130, dimensions * bits)}, options)
    plane = np.arange(64)
    yield "every index of a plane", bind({"index": plane}, {"dimensions": 2, "bits": 3})
    yield "one index", bind({"index": np.array([39], np.uint32)}, {"dimensions": 2, "bits": 3})
    yield "every second", bind({"index": plane.astype(np.uint64)[::-2]}, {"dimensions": 2, "bits": 3})
    yield "no indices", bind({"index": plane[:0]}, {"dimensions": 2, "bits": 3})
