"""Spot check of ``hilbert_inverse``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS
from .hilbert import point_at

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Find the points at sampled indices."""
    index, coords = np.asarray(call.arguments["index"]), np.asarray(answer.values["coords"])
    if not len(index):
        return ""
    rows = generator.integers(len(index), size=SAMPLED_ROWS)
    for place, point in zip(index[rows].tolist(), coords[rows].tolist(), strict=True):
        if point != point_at(place, call.options["dimensions"], call.options["bits"]):
            return f"the point at index {place} is not {point}"
    return ""
