"""Cases of ``phase_hash``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from ninefold.spec.waves import PHASES

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["phase_hash"].bind
    edges = np.array([0, -0.0, 1e-45, -1e-45, 1.2e-38, -1.2e-38, 1, -1, 3.4e38, -3.4e38, np.inf, -np.inf], np.float32)
    pairs = np.array([complex(re, im) for re, im in product(edges, edges)], np.complex64)
    pairs.real, pairs.imag = np.repeat(edges, len(edges)), np.tile(edges, len(edges))  # complex() keeps no minus zero
    # Each pair in each place, beside other pairs.
    yield "borders of quadrants", bind({"psi": np.stack([np.roll(pairs, 7 * d) for d in range(PHASES)], axis=1)})
    points = (rng.normal(size=(50, PHASES)) + 1j * rng.normal(size=(50, PHASES))).astype(np.complex64)
    yield "random", bind({"psi": points})
    yield "every second", bind({"psi": points[::2]})
    yield "one point", bind({"psi": points[:1]})
    yield "zeros", bind({"psi": np.zeros((3, PHASES), np.complex64)})
    yield "no points", bind({"psi": points[:0]})
