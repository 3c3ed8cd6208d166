"""Cases of ``topk``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["topk"]
    tied = rng.integers(-2, 3, (4, 300)).astype(np.int32)
    scores: dict[str, npt.NDArray[Any]] = {
        "ties": tied,
        "random": rng.integers(-(2**31), 2**31, (3, 100)).astype(np.int32),
        "rising": np.arange(50, dtype=np.int32)[None],
        "falling": -np.arange(50, dtype=np.int32)[None],
        "all equal": np.full((2, 40), -7, np.int32),
        "most negative": np.full((1, 40), INT32_MIN, np.int32),
        "one": np.array([[-5]], np.int32),
        "empty": np.zeros((2, 0), np.int32),
        "no rows": np.zeros((0, 5), np.int32),
        "floats": rng.normal(0, 1, (2, 90)).astype(F32),
        "float ties": np.array([[-0.0, 0.0, np.inf, -np.inf, -np.inf, 1e-45, -1e-45, np.inf]], F32),
    }
    for name, values in scores.items():
        for k in (1, 10, 64, 256):
            yield f"{name}, k = {k}", operator.bind({"scores": values}, {"k": k})
    ids = np.arange(300, dtype=np.int64)[::-1] * 2**33
    yield "own ids", operator.bind({"scores": tied, "ids": np.ascontiguousarray(ids)}, {"k": 10})
