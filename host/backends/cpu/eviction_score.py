"""``eviction_score`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.operators.eviction_score import ANCHORED
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Score all entries, in double precision and in place."""
    given = {name: np.asarray(array) for name, array in call.arguments.items()}
    with device.timed() as metrics:
        score = np.multiply(given["resonance"], given["uses"], dtype=np.float64)
        np.power(score, 0.6, out=score)
        score += 1e-6
        np.divide(given["age"], score, out=score)
        score *= np.subtract(1, given["stability"], dtype=np.float64)
        score *= np.exp(0.5 * given["density"].astype(np.float64))
        score[given["anchored"].astype(bool)] = ANCHORED
    return Answer({"score": score}, "numpy", metrics)
