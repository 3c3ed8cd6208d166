"""Cases of ``similarity``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.formats import NIT_MAX, NIT_MIN
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import coarse, nits, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["similarity"]
    every = np.arange(NIT_MIN, NIT_MAX + 1, dtype=np.int8)[:, None]
    pairs = {
        "every product": (every, every),
        "random": (nits(rng, 5, 48), nits(rng, 33, 48)),
        "odd dimensions": (nits(rng, 3, 37), nits(rng, 20, 37)),
        "zero rows": (nits(rng, 2, 48), np.zeros((3, 48), np.int8)),
        "largest": (np.full((2, 384), 4, np.int8), np.stack([np.full(384, 4), np.full(384, -4)]).astype(np.int8)),
        "no vectors": (nits(rng, 2, 48), nits(rng, 0, 48)),
        "no queries": (nits(rng, 0, 48), nits(rng, 4, 48)),
    }
    real = coarse(real_embeddings() * 9.3, "tanh")
    pairs["embeddings"] = (real[:4], real)
    for name, (q, c) in pairs.items():
        for normalised in (False, True):
            label = f"{name}{', normalised' if normalised else ''}"
            yield label, operator.bind({"q": q, "c": c}, {"normalised": normalised})
