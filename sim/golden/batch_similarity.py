"""Golden model of ``batch_similarity``, from products that are exact in double precision."""

from math import exp, fsum
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["batch_similarity", "run"]


def batch_similarity(a: list[float], b: list[float], seconds: float) -> float:
    """Return 0.7 times the dot product and 0.3 exp(-|seconds| / 300)."""
    return 0.7 * fsum(x * y for x, y in zip(a, b, strict=True)) + 0.3 * exp(-abs(seconds) / 300)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    a, b, a_time, b_time = (call.arguments[name].tolist() for name in ("a", "b", "a_time", "b_time"))
    found = [
        [batch_similarity(x, y, s - t) for y, t in zip(b, b_time, strict=True)] for x, s in zip(a, a_time, strict=True)
    ]
    return {"similarity": np.array(found).reshape(len(a), len(b)).astype(np.float32)}
