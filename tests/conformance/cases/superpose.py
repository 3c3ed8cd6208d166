"""Cases of ``superpose``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ninefold.numerics.quantise import least_magnitudes
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["superpose"].bind
    # Numbers at and beside the borders of nits, and the ends of the ranges of float32.
    borders = (np.array(least_magnitudes(1.0, "linear"))[:, None] + [-1, 0, 1]).astype(np.uint32).view(F32).reshape(-1)
    ends = np.array([0, 1e-45, 1.1754942e-38, 1.1754944e-38, 2**-25, 1 + 2**-23, 3.4028235e38], F32)
    edges = np.concatenate([borders, -borders, ends, -ends])
    a, b = (np.array(one, F32) for one in zip(*product(edges, edges), strict=True))
    yield "edges crossed", bind({"a": a.reshape(-1, len(edges)), "b": b.reshape(-1, len(edges))})
    halves = np.array([0.5 + 2**-24 * k for k in range(9)], F32)
    steps = F32(2**-25) * np.arange(-4, 5, dtype=F32)
    yield "ties", bind({"a": np.tile(halves, 9)[None], "b": np.repeat(steps, 9)[None]})
    infinite = np.array([np.inf, -np.inf, np.inf, 3e38, -3e38, -np.inf], F32)
    yield "infinities", bind({"a": infinite, "b": np.array([1, -3e38, np.inf, 3e38, -3e38, -np.inf], F32)})
    z, w = (rng.normal(0, 2, (2, 5, 37)) + 1j * rng.normal(0, 2, (2, 5, 37)) for _ in range(2))
    z, w = z.astype(np.complex64), w.astype(np.complex64)
    z.imag[0, 0, :2] = np.inf, -np.inf
    yield "complex", bind({"a": z, "b": w})
    yield "complex and real", bind({"a": z, "b": w.real.copy()})
    yield "every second", bind({"a": z[..., ::2], "b": w[..., ::-2]})
    yield "one number", bind({"a": z[0, 0, :1], "b": w[0, 0, :1]})
    yield "no rows", bind({"a": z[:0], "b": w[:0]})
    yield "no numbers", bind({"a": z[..., :0], "b": w[..., :0]})
