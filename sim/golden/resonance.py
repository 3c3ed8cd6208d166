"""Golden model of ``resonance``, from sums that are rounded once."""

from math import fsum, sqrt
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["resonance", "run"]


def resonance(a: list[complex], b: list[complex]) -> float:
    """Return |sum a conj(b)| / (|a| |b|), 0 for a zero vector. Products of float32 parts are exact in float64."""
    pairs = list(zip(a, b, strict=True))
    re = fsum(x.real * y.real for x, y in pairs) + fsum(x.imag * y.imag for x, y in pairs)
    im = fsum(x.imag * y.real for x, y in pairs) - fsum(x.real * y.imag for x, y in pairs)
    lengths = sqrt(_square(a)) * sqrt(_square(b))
    return sqrt(re**2 + im**2) / lengths if lengths else 0.0


def _square(x: list[complex]) -> float:
    return fsum(z.real**2 for z in x) + fsum(z.imag**2 for z in x)


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    a, b = (call.arguments[name].astype(np.complex128).tolist() for name in ("a", "b"))
    found = np.array([[resonance(x, y) for y in b] for x in a]).reshape(len(a), len(b))
    # The quotient of sums that were rounded may exceed 1 by a few units in its last place.
    return {"resonance": np.minimum(found, 1).astype(np.float32)}
