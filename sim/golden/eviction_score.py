"""Golden model of ``eviction_score``."""

from math import exp, pow
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["run", "score"]


def score(age: float, resonance: float, uses: int, stability: float, density: float) -> float:
    """Return the score of an entry that is not anchored."""
    return age / (pow(resonance * uses, 0.6) + 1e-6) * (1 - stability) * exp(0.5 * density)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call, one entry after the other."""
    names = ("age", "resonance", "uses", "stability", "density")
    columns = [call.arguments[name].tolist() for name in names]
    anchored = call.arguments["anchored"].tolist()
    entries = zip(anchored, *columns, strict=True)
    return {"score": np.array([-1.0 if fixed else score(*entry) for fixed, *entry in entries], np.float64)}
