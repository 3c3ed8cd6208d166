"""``eviction_score`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.eviction import eviction_scores
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Score all entries, in double precision and in place."""
    given = {name: np.asarray(array) for name, array in call.arguments.items()}
    with device.timed() as metrics:
        score = eviction_scores(**given)
    return Answer({"score": score}, "numpy", metrics)
