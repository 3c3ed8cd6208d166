"""Cases of ``membrane_hot``: more and fewer hot clusters than asked for, ties, and voltages at the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.membranes import HOT_VOLTAGE, VOLTAGE_ONE
from ninefold.spec.operators.membrane_hot import OPERATOR
from ninefold.spec.signature import Call

from .membrane_update import membranes

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    for clusters, k in ((1, 1), (1, 64), (300, 1), (300, 64), (5000, 256)):
        voltages = rng.integers(-VOLTAGE_ONE, VOLTAGE_ONE + 1, clusters)
        voltages[1::5] = voltages[::5][: len(voltages[1::5])]
        yield f"{k} of {clusters}", OPERATOR.bind({"state": membranes(rng, voltages)}, {"k": k})
    voltages = np.array([HOT_VOLTAGE, HOT_VOLTAGE - 1, 2**21, HOT_VOLTAGE, 2**21, -VOLTAGE_ONE, VOLTAGE_ONE])
    edges = membranes(rng, voltages)
    yield "at the limit", OPERATOR.bind({"state": edges})
    yield "at the limit, k = 4", OPERATOR.bind({"state": edges}, {"k": 4})
    yield "nothing is hot", OPERATOR.bind({"state": membranes(rng, np.zeros(7))})
