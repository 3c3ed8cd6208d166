"""Spot check of ``batch_similarity``."""

import math

import numpy as np

from ninefold.spec.context import BATCH_WEIGHTS, FADE_S
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compute sampled pairs again, in double precision."""
    a, b, a_time, b_time = (call.arguments[name] for name in ("a", "b", "a_time", "b_time"))
    found = np.asarray(answer.values["similarity"])
    if not found.size:
        return ""
    for place in generator.integers(found.size, size=SAMPLED_ROWS).tolist():
        i, j = divmod(place, found.shape[1])
        x, y = a[i].astype(np.float64), b[j].astype(np.float64)
        near = math.exp(-abs(float(a_time[i]) - float(b_time[j])) / FADE_S)
        wanted = BATCH_WEIGHTS[0] * float(x @ y) + BATCH_WEIGHTS[1] * near
        if not abs(float(found[i, j]) - wanted) <= 1e-5 * max(1.0, float(np.linalg.norm(x) * np.linalg.norm(y))):
            return f"the similarity of query {i} and vector {j} is {found[i, j]:.8g}, not {wanted:.8g}"
    return ""
