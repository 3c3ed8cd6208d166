"""Cases of ``membrane_update``: batches with repeated clusters, extreme cosines, and voltages at their limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.conformance import Sequence, Step
from ninefold.spec.data import State
from ninefold.spec.membranes import COSINE_ONE, MEMBRANES, VOLTAGE_ONE
from ninefold.spec.operators.membrane_update import OPERATOR

__all__ = ["cases", "membranes"]


def membranes(rng: np.random.Generator, voltages: npt.NDArray[Any]) -> State:
    return MEMBRANES.state(f"membranes {rng.integers(2**63)}", {"voltage": voltages.astype(np.int32)})


def batch(clusters: Any, cosines: Any) -> Step:
    return Step({"clusters": np.array(clusters, np.int64), "cosines": np.array(cosines, np.float32)})


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Sequence]]:
    for clusters, size in ((1, 1), (3, 40), (50, 30), (700, 900)):
        state = membranes(rng, rng.integers(-VOLTAGE_ONE, VOLTAGE_ONE + 1, clusters))
        steps = [batch(rng.integers(0, clusters, size), rng.uniform(-1, 1, size)) for _ in range(3)]
        yield f"{size} of {clusters}", Sequence(OPERATOR, state, (*steps, batch([], [])))
    edges = np.array([-1, -0.5, -0.0, 0, 0.5, 1, np.nextafter(np.float32(1), np.float32(0)), 1e-45, -1e-45])
    yield (
        "voltages and cosines at the limits",
        Sequence(
            OPERATOR,
            membranes(rng, np.repeat([VOLTAGE_ONE, -VOLTAGE_ONE, 0, 1, -1], len(edges))),
            tuple(batch(np.arange(5 * len(edges)), np.tile(edges, 5)) for _ in range(3)),
        ),
    )
    halves = (np.arange(-21, 22) / 2 / COSINE_ONE).astype(np.float32)  # nearest to ties of the rounding
    yield (
        "cosines between two inputs",
        Sequence(OPERATOR, membranes(rng, np.arange(-21, 22)), (batch(np.arange(43), halves),)),
    )
