"""Cases of ``dmi_update``: sequences of batches with repeated clusters, pauses and extreme vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.conformance import Sequence, Step
from ninefold.spec.data import State
from ninefold.spec.momentum import MEMORY, VALUE_MAX
from ninefold.spec.operators.dmi_update import OPERATOR

from ..data import real_embeddings

__all__ = ["cases", "memory"]


def memory(rng: np.random.Generator, clusters: int, dimensions: int, **arrays: npt.NDArray[Any]) -> State:
    """Return a memory with any content; half of the clusters were updated up to 2,000 s before.

    A device that has a version of a state does not load another one of the same name, so each state has its own.
    """
    count = rng.integers(0, 2, clusters) * rng.integers(1, 9, clusters)
    last = np.where(count, rng.uniform(8_000, 10_000, clusters), 0.0)
    momentum = np.where(count, rng.uniform(-0.3, 1, clusters), 0).astype(np.float32)
    momentum[1::5] = momentum[::5][: len(momentum[1::5])]
    drawn = {
        "rows": rng.normal(0, 0.1, (clusters, dimensions)).astype(np.float16),
        "momentum": momentum,
        "last": last,
        "count": count,
        "version": rng.integers(0, 3, clusters),
        "clock": np.array([10_000.0]),
    }
    name = f"memory {rng.integers(2**63)} of {clusters} x {dimensions}"
    return MEMORY.state(name, {**drawn, **arrays}, {"seed": 17})


def batch(clusters: Any, vectors: npt.NDArray[Any], times: Any) -> Step:
    return Step(
        {
            "clusters": np.array(clusters, np.int64),
            "vectors": vectors.astype(np.float32),
            "times": np.array(times, np.float64),
        }
    )


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Sequence]]:
    for clusters, dimensions, size in ((1, 1, 3), (5, 7, 40), (16, 64, 9), (3, 33, 1), (40, 130, 64)):
        steps = []
        for start in (10_000.0, 10_000.5, 11_000.0):
            times = start + np.sort(rng.uniform(0, 0.4, size))
            steps.append(batch(rng.integers(0, clusters, size), rng.normal(0, 1, (size, dimensions)), times))
        state = memory(rng, clusters, dimensions)
        yield (
            f"{size} of {clusters} x {dimensions}",
            Sequence(OPERATOR, state, (*steps, batch([], steps[0].arguments["vectors"][:0], []))),
        )
    embeddings = real_embeddings()[:96]
    steps = [batch(rng.integers(0, 6, 48), embeddings[i : i + 48], np.arange(48) + 20_000 + 60 * i) for i in (0, 48)]
    yield "embeddings", Sequence(OPERATOR, memory(rng, 6, embeddings.shape[1]), tuple(steps))
    yield "extremes", Sequence(OPERATOR, memory(rng, 9, 40), tuple(extremes(rng, 40)))


def extremes(rng: np.random.Generator, dimensions: int) -> Iterator[Step]:
    """Yield updates by the largest, tiny, subnormal and zero vectors, and ties of both roundings."""
    signs = rng.choice([-1.0, 1.0], (9, dimensions))
    for size in (VALUE_MAX, 1e-12, 1e-30, 2.0**-126, 2.0**-130, 0.0, 6e-8, 6.2e-5):
        yield batch(range(9), signs * size, [30_000.0] * 9)
    # Weights of 0.05 and nearly 0; the rest of 1 rounds.
    for pause in (0.0, 1.0, 4_000.0, 1e9, 1e12):
        yield batch(range(9), rng.integers(-2048, 2048, (9, dimensions)) / 1024, [31_000.0 + pause] * 9)
