"""Spot check of ``embed``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:  # noqa: ARG001 - all rows are looked at
    """Check that the vectors have length 1."""
    lengths = np.linalg.norm(np.asarray(answer.values["vectors"], np.float64), axis=1)
    # The squares of float32 components sum to 1 within 384 roundings of 2**-24; NaN fails every comparison.
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < 1e-4))
    return f"vector {wrong[0]} has length {lengths[wrong[0]]:g}, not 1" if len(wrong) else ""
