"""Cases of ``eviction_score``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["cases"]

F32 = np.float32


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["eviction_score"].bind
    ages, uses = (0.0, 1e-9, 1e-3, 1.0, 86400.0, 1e15), (0, 1, 2, 10**6, 2**53)
    parts = (0.0, -0.0, 1e-45, 0.5, 1 - 2**-24, 1.0)
    edges = list(product(ages, (0.0, 1e-45, 0.5, 1.0), uses, parts, (0.0, -0.0, 1e-45, 1.0, 100.0)))
    columns = [np.array(column) for column in zip(*edges, strict=True)]
    kinds = (np.float64, F32, np.int64, F32, F32)
    names = ("age", "resonance", "uses", "stability", "density")
    crossed = {name: column.astype(kind) for name, column, kind in zip(names, columns, kinds, strict=True)}
    yield "edges crossed", bind({**crossed, "anchored": np.zeros(len(edges), bool)})
    number = 1001
    drawn = {
        "age": rng.exponential(3600, number),
        "resonance": rng.random(number, F32),
        "uses": rng.integers(0, 50, number),
        "stability": rng.random(number, F32),
        "density": rng.random(number, F32) * F32(3),
        "anchored": (rng.random(number) < 0.2).astype(np.uint8),
    }
    yield "random", bind(drawn)
    yield "every second", bind({name: column[::2] for name, column in drawn.items()})
    yield "all anchored", bind({**drawn, "anchored": np.ones(number, bool)})
    yield "one entry", bind({name: column[:1] for name, column in drawn.items()})
    yield "no entries", bind({name: column[:0] for name, column in drawn.items()})
