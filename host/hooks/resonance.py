"""Spot check of ``resonance``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS
from .overlap import cosine

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compute sampled pairs again, in double precision."""
    a, b, found = (np.asarray(one) for one in (call.arguments["a"], call.arguments["b"], answer.values["resonance"]))
    if not found.size:
        return ""
    for place in generator.integers(found.size, size=SAMPLED_ROWS).tolist():
        i, j = divmod(place, len(b))
        wanted = cosine(a[i], b[j])
        if not abs(float(found[i, j]) - wanted) <= 1e-6:
            return f"the resonance of query {i} with vector {j} is {found[i, j]:.8g}, not {wanted:.8g}"
    return ""
