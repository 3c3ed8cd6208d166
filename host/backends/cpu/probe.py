"""``probe`` on the CPU."""

import time
from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.stages import best_lists, quantised
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:  # noqa: ARG001 - it has no state
    """Score the centroids of clusters and lists with NumPy: there are 1,088 of them."""
    options = call.options
    started = time.perf_counter()
    ids, scores = best_lists(quantised(call), call.database(), options["macro"], options["micro"])
    metrics = {"seconds": time.perf_counter() - started}
    count = np.full(len(ids), options["macro"] * options["micro"], np.int64)
    return Answer({"ids": ids, "scores": scores, "count": count}, "numpy", metrics)
