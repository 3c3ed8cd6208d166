"""Cases of ``quantise``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.formats import MODES
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["quantise"]
    grid = (np.arange(-32768, 32768) / 4096).astype(F32)
    edges = np.array([np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, 7.99987793, -8.0001], F32)
    halves = ((np.arange(-6000, 6000) + 0.5) / 4096).astype(F32)
    for mode in MODES:
        yield f"every grid value, {mode}", operator.bind({"x": grid[None, :4096]}, {"scale": 1.0, "mode": mode})
        yield (
            f"every grid value in rows, {mode}",
            operator.bind({"x": grid.reshape(-1, 64)}, {"scale": 1, "mode": mode}),
        )
        yield f"edges, {mode}", operator.bind({"x": edges}, {"scale": 1.0, "mode": mode})
        yield f"halves, {mode}", operator.bind({"x": halves.reshape(-1, 100)}, {"scale": 1.0, "mode": mode})
        yield f"large scale, {mode}", operator.bind({"x": edges}, {"scale": 3e38, "mode": mode})
        real = real_embeddings()
        yield f"embeddings, {mode}", operator.bind({"x": real}, {"scale": 9.3, "mode": mode})
        wide = rng.normal(0, 2, (2, 3, 37))
        yield f"float64, {mode}", operator.bind({"x": wide}, {"scale": 0.7, "mode": mode})
        yield f"float16, {mode}", operator.bind({"x": wide.astype(np.float16)}, {"scale": 0.7, "mode": mode})
        yield f"one number, {mode}", operator.bind({"x": wide[0, 0, :1]}, {"scale": 1.0, "mode": mode})
        yield f"no rows, {mode}", operator.bind({"x": wide[:0]}, {"scale": 1.0, "mode": mode})
    z = rng.normal(0, 2, (4, 9)) + 1j * rng.normal(0, 2, (4, 9))
    for dtype in (np.complex64, np.complex128):
        yield f"{dtype.__name__}", operator.bind({"x": z.astype(dtype)}, {"scale": 1.3, "mode": "linear"})
