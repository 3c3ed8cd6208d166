"""``batch_similarity`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.similarity6d import batch_similarities
from ninefold.spec.context import BATCH_WEIGHTS, FADE_S
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Compare each query with each vector."""
    kernel = device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"similarity": batch_similarities(call.arguments)}, "numpy", metrics)
        a, a_time, b, b_time = (np.ascontiguousarray(call.arguments[n]) for n in ("a", "a_time", "b", "b_time"))
        found = np.empty((len(a), len(b)), np.float32)
        kernel("batch_similarity", a, a_time, len(a), b, b_time, *b.shape, *BATCH_WEIGHTS, FADE_S, found)
    return Answer({"similarity": found}, device.path, metrics)
