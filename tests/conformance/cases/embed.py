"""Cases of ``embed``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["embed"]
    tokens = rng.integers(1000, 20000, (5, 12))
    lengths = np.array([12, 3, 7, 1, 12])
    mask = (np.arange(12)[None, :] < lengths[:, None]).astype(np.int64)
    yield "padded", operator.bind({"tokens": tokens * mask, "mask": mask})
    yield "full", operator.bind({"tokens": tokens, "mask": np.ones_like(tokens)})
