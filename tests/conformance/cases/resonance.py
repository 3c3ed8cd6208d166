"""Cases of ``resonance``: the pairs of ``overlap``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .overlap import pairs

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    for name, a, b in pairs(rng):
        yield name, OPERATORS["resonance"].bind({"a": a, "b": b})
