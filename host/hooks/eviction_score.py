"""Spot check of ``eviction_score``."""

from math import exp, isclose, log

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Score sampled entries again, with the power as an exponential of a logarithm."""
    given, scores = call.arguments, np.asarray(answer.values["score"])
    if not len(scores):
        return ""
    for row in generator.integers(len(scores), size=SAMPLED_ROWS).tolist():
        uses = float(given["resonance"][row]) * float(given["uses"][row])
        divisor = 1e-6 + (exp(0.6 * log(uses)) if uses else 0.0)
        crowding = exp(0.5 * float(given["density"][row]))
        wanted = float(given["age"][row]) * (1 - float(given["stability"][row])) * crowding / divisor
        wanted = -1.0 if given["anchored"][row] else wanted
        if not isclose(float(scores[row]), wanted, rel_tol=1e-6):
            return f"the score of entry {row} is {scores[row]:.8g}, not {wanted:.8g}"
    return ""
