"""Cases of ``calibrate``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.formats import MODES
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["calibrate"]
    twice = np.concatenate([real_embeddings()[:40]] * 2)  # equal rows: only a fixed order of summation keeps their ties
    for mode in MODES:
        yield f"embeddings, {mode}", operator.bind({"sample": real_embeddings()}, {"mode": mode})
        yield f"equal rows, {mode}", operator.bind({"sample": twice}, {"mode": mode})
        small = rng.normal(0, 1, (7, 5)).astype(F32)
        yield f"fewer rows than k, {mode}", operator.bind({"sample": small}, {"mode": mode})
