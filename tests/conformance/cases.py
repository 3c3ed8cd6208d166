"""The vectors that every backend answers: directed, random and real ones for each operator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.embedding import Embedder
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.formats import INT32_MIN, MODES, NIT_MAX, NIT_MIN, Mode
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["CASES", "calls_of", "database", "real_embeddings"]

SEED = 20261121
F32 = np.float32


@cache
def real_embeddings() -> npt.NDArray[np.float32]:
    """Embeddings of the docstrings of some modules of the standard library, float32 (about 150, 384)."""
    import argparse
    import collections
    import pathlib
    import shutil
    import statistics

    texts = []
    for module in (argparse, collections, pathlib, shutil, statistics):
        for name, thing in sorted(vars(module).items()):
            if not name.startswith("_") and callable(thing) and (doc := inspect.getdoc(thing)):
                texts.append(f"{module.__name__}.{name}: {doc.splitlines()[0]}")
    return Embedder().embed(sorted(set(texts)))


def calibrated(vectors: npt.NDArray[np.float32], mode: Mode) -> Database:
    """Quantise rows at a scale near the calibrated one; the golden model's own nits are not used here."""
    scale = float((0.5 if mode == "tanh" else 1.7) / vectors.std())
    return database(coarse(vectors * scale, mode), scale, mode)


def coarse(y: npt.NDArray[Any], mode: Mode) -> npt.NDArray[np.int8]:
    """Some nits for `y`; any will do for a database, since its nits are what defines it."""
    return np.clip(np.rint(4 * np.tanh(y) if mode == "tanh" else y), NIT_MIN, NIT_MAX).astype(np.int8)


def database(nits: npt.NDArray[np.int8], scale: float = 1.0, mode: Mode = "tanh") -> Database:
    rows, dimensions = nits.shape
    return Database({"nits": pack(nits)}, {"rows": rows, "dimensions": dimensions, "scale": scale, "mode": mode})


def nits(rng: np.random.Generator, *shape: int, low: int = NIT_MIN, high: int = NIT_MAX) -> npt.NDArray[np.int8]:
    return rng.integers(low, high + 1, shape, dtype=np.int8)


def quantise_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
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


def similarity_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["similarity"]
    every = np.arange(NIT_MIN, NIT_MAX + 1, dtype=np.int8)[:, None]
    pairs = {
        "every product": (every, every),
        "random": (nits(rng, 5, 48), nits(rng, 33, 48)),
        "odd dimensions": (nits(rng, 3, 37), nits(rng, 20, 37)),
        "zero rows": (nits(rng, 2, 48), np.zeros((3, 48), np.int8)),
        "largest": (np.full((2, 384), 4, np.int8), np.stack([np.full(384, 4), np.full(384, -4)]).astype(np.int8)),
        "no vectors": (nits(rng, 2, 48), nits(rng, 0, 48)),
        "no queries": (nits(rng, 0, 48), nits(rng, 4, 48)),
    }
    real = coarse(real_embeddings() * 9.3, "tanh")
    pairs["embeddings"] = (real[:4], real)
    for name, (q, c) in pairs.items():
        for normalised in (False, True):
            label = f"{name}{', normalised' if normalised else ''}"
            yield label, operator.bind({"q": q, "c": c}, {"normalised": normalised})


def topk_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
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


def mine_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["mine"]
    real = real_embeddings()
    for mode in MODES:
        yield f"embeddings, {mode}", operator.bind({"q": real[::7], "database": calibrated(real, mode)}, {"k": 10})
    q = rng.normal(0, 1, (6, 24)).astype(F32)
    tied = database(nits(rng, 700, 24, low=0, high=1))
    for k in (1, 10, 64):
        yield f"ties, k = {k}", operator.bind({"q": q, "database": tied}, {"k": k})
    equal = database(np.ones((90, 24), np.int8), 1.0, "linear")
    yield "all equal", operator.bind({"q": q, "database": equal}, {"k": 16})
    yield "fewer rows than k", operator.bind({"q": q, "database": database(nits(rng, 3, 24))}, {"k": 10})
    yield (
        "negative scores",
        operator.bind({"q": np.abs(q), "database": database(-np.ones((40, 24), np.int8))}, {"k": 5}),
    )
    yield "odd dimensions", operator.bind({"q": q[:, :23], "database": database(nits(rng, 50, 23))}, {"k": 10})
    yield "one dimension", operator.bind({"q": q[:, :1], "database": database(nits(rng, 50, 1))}, {"k": 10})
    yield "infinities", operator.bind({"q": np.full((1, 24), np.inf, F32), "database": tied}, {"k": 10})
    yield "no queries", operator.bind({"q": q[:0], "database": tied}, {"k": 10})


def calibrate_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["calibrate"]
    twice = np.concatenate([real_embeddings()[:40]] * 2)  # equal rows: only a fixed order of summation keeps their ties
    for mode in MODES:
        yield f"embeddings, {mode}", operator.bind({"sample": real_embeddings()}, {"mode": mode})
        yield f"equal rows, {mode}", operator.bind({"sample": twice}, {"mode": mode})
        small = rng.normal(0, 1, (7, 5)).astype(F32)
        yield f"fewer rows than k, {mode}", operator.bind({"sample": small}, {"mode": mode})


def embed_cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["embed"]
    tokens = rng.integers(1000, 20000, (5, 12))
    lengths = np.array([12, 3, 7, 1, 12])
    mask = (np.arange(12)[None, :] < lengths[:, None]).astype(np.int64)
    yield "padded", operator.bind({"tokens": tokens * mask, "mask": mask})
    yield "full", operator.bind({"tokens": tokens, "mask": np.ones_like(tokens)})


CASES: MappingProxyType[str, Callable[[np.random.Generator], Iterator[tuple[str, Call]]]] = MappingProxyType(
    {
        "calibrate": calibrate_cases,
        "embed": embed_cases,
        "mine": mine_cases,
        "quantise": quantise_cases,
        "similarity": similarity_cases,
        "topk": topk_cases,
    }
)


@cache
def calls_of(operator: str) -> dict[str, Call]:
    """Every case of an operator by name; the same in every run."""
    return dict(CASES[operator](np.random.default_rng(SEED)))
