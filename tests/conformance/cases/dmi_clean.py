"""Cases of ``dmi_clean``: ages around the maximum, momentum around the limit, and rows reset twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ninefold.sim.conformance import Sequence, Step
from ninefold.spec.operators.dmi_clean import OPERATOR

from .dmi_update import memory

__all__ = ["cases"]


def at(time: float, **options: Any) -> Step:
    return Step({"time": np.array(time)}, options)


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Sequence]]:
    for clusters, dimensions in ((1, 1), (9, 5), (64, 130)):
        state = memory(rng, clusters, dimensions)
        steps = (
            at(10_000.0),
            at(12_500.0),
            at(12_500.0),
            at(13_000.0, max_age=100.0),
            at(13_000.0, max_age=0.0),
            at(1e15),
        )
        yield f"{clusters} x {dimensions}", Sequence(OPERATOR, state, steps)
    edges = {
        "last": np.array([6_400.0, 6_400.0, np.nextafter(6_400.0, 0), 10_000.0, 100.0, 0.0]),
        "count": np.array([1, 2, 3, 1, 1, 0]),
        "momentum": np.array([0.005, -0.5, 0.01, 0.0, np.float32(1), 0.0], np.float32),
    }
    yield (
        "ages and momentum at the limits",
        Sequence(OPERATOR, memory(rng, 6, 8, **edges), (at(10_000.0), at(10_001.0))),
    )
