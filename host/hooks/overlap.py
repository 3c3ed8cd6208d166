"""Spot check of ``overlap``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check", "cosine"]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return |<a, b>| / (|a| |b|) of two vectors in double precision, 0 for a zero vector."""
    x, y = a.astype(np.complex128), b.astype(np.complex128)
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(abs(np.vdot(y, x))) / lengths if lengths else 0.0


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compute sampled pairs again, in double precision."""
    a, b, found = (np.asarray(one) for one in (call.arguments["a"], call.arguments["b"], answer.values["overlap"]))
    if not found.size:
        return ""
    for place in generator.integers(found.size, size=SAMPLED_ROWS).tolist():
        i, j = divmod(place, len(b))
        wanted = cosine(a[i], b[j]) ** 2
        if not abs(float(found[i, j]) - wanted) <= 1e-6:
            return f"the overlap of query {i} with vector {j} is {found[i, j]:.8g}, not {wanted:.8g}"
    return ""
