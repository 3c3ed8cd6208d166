"""Spot check of ``harmonic_signature``."""

from math import isinf

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call
from ninefold.spec.waves import HARMONIC_THRESHOLDS

from . import SAMPLED_ROWS

__all__ = ["check"]


def _reaches(z: complex, threshold: float) -> bool:
    # Numbers of Python are float64, in which both squares are exact.
    return isinf(z.real) or isinf(z.imag) or z.real * z.real + z.imag * z.imag >= threshold


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compare sampled numbers with the thresholds beside what was found."""
    psi, found = np.asarray(call.arguments["psi"]), np.asarray(answer.values["signature"])
    if not psi.size:
        return ""
    bars = (0.0, *HARMONIC_THRESHOLDS, float("nan"))
    for place in generator.integers(psi.size, size=SAMPLED_ROWS).tolist():
        row, d = divmod(place, psi.shape[1])
        z, count = complex(psi[row, d]), int(found[row, d])
        if not _reaches(z, bars[count]) or (count < len(HARMONIC_THRESHOLDS) and _reaches(z, bars[count + 1])):
            return f"the signature of number {d} of point {row}, {z:.8g}, is not {count}"
    return ""
