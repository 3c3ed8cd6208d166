"""Cases of ``overlap``, whose pairs of vectors ``resonance`` shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["cases", "pairs"]

Array = npt.NDArray[Any]


def drawn(rng: np.random.Generator, rows: int, dimensions: int) -> Array:
    shape = (rows, dimensions)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def pairs(rng: np.random.Generator) -> Iterator[tuple[str, Array, Array]]:
    """Yield names, queries and vectors."""
    a, b = drawn(rng, 5, 37), drawn(rng, 66, 37)
    yield "random", a, b
    turned = np.exp(1j * np.arange(5))[:, None] * a * np.array([1e-3, 1, 7, 1e5, 1e30], np.float32)[:, None]
    yield "multiples", a, np.concatenate([turned.astype(np.complex64), a, -a])
    near = (a + np.array([[1e-1, 1e-2, 1e-3, 1e-4, 1e-5]]).T * drawn(rng, 5, 37)).astype(np.complex64)
    yield "nearly parallel", a, near
    basis = np.eye(8, dtype=np.complex64) * np.array([1, 1j, -1, -1j, 3, 1e-20, 1e20, 1 + 1j], np.complex64)
    yield "orthogonal", basis[::-1], basis
    cancelling = np.tile(np.array([1, -1], np.complex64), (2, 32))
    yield "sums that cancel", cancelling + np.array([[0], [1e-4]], np.complex64), np.ones((2, 64), np.complex64)
    zeros = np.array([[0, 0], [-0.0, complex(0, -0.0)], [1, 1j]], np.complex64)
    yield "zero vectors", zeros, zeros
    ends = np.array([1e-45, 1.2e-38, 1e-20, 1, 1e20, 3.4e38], np.float32)
    yield "ends of the range", ends[:, None] * np.array([1, 1j], np.complex64), np.stack([ends, ends[::-1]], axis=1)
    yield "mixed magnitudes", np.stack([ends, ends[::-1] * 1j]).astype(np.complex64), np.stack([ends, ends * -1j])[::-1]
    yield "real", a.real.copy(), b.real.copy()
    yield "complex and real", a, b.real.copy()
    yield "every second", a[:, ::2], b[::3, ::-2]
    yield "one number", a[:, :1], b[:9, :1]
    yield "one pair", a[:1], b[:1]
    yield "9 numbers", drawn(rng, 3, 9), drawn(rng, 257, 9)
    yield "many numbers", drawn(rng, 2, 2500), drawn(rng, 3, 2500)
    # A plain sum of floats drops the same part of each number after the first, which fills a float.
    long = np.full((2, 20_000), 0.7, np.float32)
    long[:, 0] = 100, -100
    yield "long sums", long[:1], long[1:] * np.complex64(1j)
    yield "no queries", a[:0], b
    yield "no vectors", a, b[:0]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    for name, a, b in pairs(rng):
        yield name, OPERATORS["overlap"].bind({"a": a, "b": b})
