"""Cases of ``batch_similarity``: unit vectors of several lengths, and vectors and times at the ends of their ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.batch_similarity import TIME_MAX, VALUE_MAX
from ninefold.spec.signature import Call

__all__ = ["cases"]

Array = npt.NDArray[Any]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    def units(rows: int, dimensions: int) -> Array:
        drawn = rng.normal(0, 1, (rows, dimensions))
        return np.asarray((drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32))

    def call(a: Array, b: Array, a_time: Any = None, b_time: Any = None) -> Call:
        times = [
            1.7e9 + rng.uniform(0, 2000, len(x)) if t is None else np.array(t, np.float64)
            for x, t in ((a, a_time), (b, b_time))
        ]
        return OPERATORS["batch_similarity"].bind({"a": a, "b": b, "a_time": times[0], "b_time": times[1]})

    for queries, rows, dimensions in ((1, 1, 1), (5, 66, 37), (4, 33, 512), (3, 9, 384), (2, 3, 2500)):
        yield f"{queries} x {rows} x {dimensions}", call(units(queries, dimensions), units(rows, dimensions))
    a, b = units(6, 40), units(9, 40)
    yield "every second", call(a[:, ::2], b[::3, ::-2])
    yield "no queries", call(a[:0], b)
    yield "no vectors", call(a, b[:0])
    yield "parallel, opposite and zero", call(a, np.concatenate([a, -a, 0 * a]))
    times = [-TIME_MAX, -1e6, -300, -1e-6, 0, 1e-6, 2.5, 1e9, TIME_MAX]
    yield "ends of the times", call(b, b, times, times)
    near = 1.7e9 + np.array([0, 1e-3, 0.5, 1, 299, 300, 3000, 18_000, 40_000])
    yield "times apart", call(b, b, near, near)
    yield "ends of the values", call(b.clip(0) * np.float32(VALUE_MAX), -a * np.float32(VALUE_MAX))
    long = np.full((2, 20_000), 0.7, np.float32)
    long[:, 0] = 100, -100
    yield "long sums", call(long[:1], long[1:])
