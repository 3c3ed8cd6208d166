"""Cases of ``harmonic_signature``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from ninefold.spec.waves import HARMONIC_THRESHOLDS, PHASES

__all__ = ["beside", "cases"]

F32, F64 = np.float32, np.float64


def beside(threshold: float) -> npt.NDArray[np.complex64]:
    """Return the nearest numbers found whose squared magnitudes are below a threshold, and at or above it.

    No two float32 numbers have squares whose sum rounds to one of the four thresholds.
    """
    # With one part just below the root, the other is so small that its square moves the sum by units in the last place.
    below = (F32(np.sqrt(threshold)).view(np.int32) - np.arange(1, 2000, dtype=np.int32)).view(F32)
    rest = np.sqrt(threshold - below.astype(F64) ** 2).astype(F32)
    near = (rest.view(np.int32)[:, None] + np.arange(-2, 3, dtype=np.int32)).view(F32)
    squares = near.astype(F64) ** 2 + below.astype(F64)[:, None] ** 2
    found = np.empty(2, np.complex64)
    for i, distance in enumerate((threshold - squares, squares - threshold)):
        allowed = distance > 0 if i == 0 else distance >= 0
        row, column = np.unravel_index(np.where(allowed, distance, np.inf).argmin(), distance.shape)
        found[i] = complex(below[row], near[row, column])
    return found


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["harmonic_signature"].bind
    exact = np.concatenate([beside(threshold) for threshold in HARMONIC_THRESHOLDS])
    turned = np.stack([exact * F32(1), exact.conj(), -exact, exact.imag + F32(1) * 1j * exact.real], axis=1)
    yield "nearest to the thresholds", bind({"psi": np.resize(turned.astype(np.complex64), (8, PHASES))})
    edges = np.array([0, -0.0, 1e-45, -1.2e-38, 0.6487212, 1, -1.7182818, 3.4816890, 6.3890560, 3.4e38, -np.inf], F32)
    pairs = np.empty(len(edges) ** 2, np.complex64)
    pairs.real, pairs.imag = zip(*product(edges, edges), strict=True)
    yield "edges crossed", bind({"psi": np.stack([np.roll(pairs, 7 * d) for d in range(PHASES)], axis=1)})
    points = (rng.normal(0, 3, (50, PHASES)) + 1j * rng.normal(0, 3, (50, PHASES))).astype(np.complex64)
    yield "random", bind({"psi": points})
    yield "every second", bind({"psi": points[::2]})
    yield "one point", bind({"psi": points[:1]})
    yield "zeros", bind({"psi": np.zeros((3, PHASES), np.complex64)})
    yield "no points", bind({"psi": points[:0]})
