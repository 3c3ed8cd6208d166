"""Cases of ``mine``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.formats import MODES
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, calibrated, database, nits, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["mine"]
    real = real_embeddings()
    for mode in MODES:
        yield f"embeddings, {mode}", operator.bind({"q": real[::7], "database": calibrated(real, mode)}, {"k": 10})
    q = rng.normal(0, 1, (6, 24)).astype(F32)
    tied = database(nits(rng, 700, 24, low=0, high=1))
    for k in (1, 10, 64):
        yield f"ties, k = {k}", operator.bind({"q": q, "database": tied}, {"k": k})
    equal = database(np.ones((90, 24), np.int8), 1.0, "linear")
    yield "all equal", operator.bind({"q": q, "database": equal}, {"k": 16})
    yield "fewer rows than k", operator.bind({"q": q, "database": database(nits(rng, 3, 24))}, {"k": 10})
    yield (
        "negative scores",
        operator.bind({"q": np.abs(q), "database": database(-np.ones((40, 24), np.int8))}, {"k": 5}),
    )
    yield "odd dimensions", operator.bind({"q": q[:, :23], "database": database(nits(rng, 50, 23))}, {"k": 10})
    yield "one dimension", operator.bind({"q": q[:, :1], "database": database(nits(rng, 50, 1))}, {"k": 10})
    yield "infinities", operator.bind({"q": np.full((1, 24), np.inf, F32), "database": tied}, {"k": 10})
    yield "no queries", operator.bind({"q": q[:0], "database": tied}, {"k": 10})
