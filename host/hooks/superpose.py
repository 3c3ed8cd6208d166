"""Spot check of ``superpose``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS
from .quantise import nits_of

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Add sampled elements again, in float64 and rounded once."""
    a, b, nits = (
        np.asarray(one).reshape(-1) for one in (call.arguments["a"], call.arguments["b"], answer.values["nits"])
    )
    if not len(a):
        return ""
    at = generator.integers(len(a), size=SAMPLED_ROWS)
    with np.errstate(over="ignore"):  # a sum beyond float32 is infinite and saturates
        # Rounding an exact or correctly rounded sum of float64 again changes nothing: it has twice the digits and two.
        sums = (a[at].real.astype(np.float64) + b[at].real.astype(np.float64)).astype(np.float32)
    wrong = np.flatnonzero(nits[at] != nits_of(sums, 1.0, "linear"))
    if not len(wrong):
        return ""
    place = at[wrong[0]]
    return f"the nit of {a[place].real} + {b[place].real} is not {nits[place]}"
