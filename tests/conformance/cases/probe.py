"""Cases of ``probe``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, clustered, nits

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["probe"]
    for dimensions in (3, 24):
        q = rng.normal(0, 2, (4, dimensions)).astype(F32)
        database = clustered(rng, nits(rng, 200, dimensions))
        for macro, micro in ((1, 1), (8, 4), (3, 2)):
            options = {"macro": macro, "micro": micro}
            yield f"{dimensions} dimensions, {macro} x {micro}", operator.bind({"q": q, "database": database}, options)
