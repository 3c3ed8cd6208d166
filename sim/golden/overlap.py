"""Golden model of ``overlap``, from sums that are rounded once."""

from math import fsum
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["inner", "overlap", "run"]


def inner(a: list[complex], b: list[complex]) -> complex:
    """Return the sum of a conj(b). Products of float32 parts are exact in float64, and the sums are rounded once."""
    pairs = list(zip(a, b, strict=True))
    re = fsum(product for x, y in pairs for product in (x.real * y.real, x.imag * y.imag))
    im = fsum(product for x, y in pairs for product in (x.imag * y.real, -x.real * y.imag))
    return complex(re, im)


def overlap(a: list[complex], b: list[complex]) -> float:
    """Return |<a, b>|^2 / (<a, a> <b, b>), 0 for a zero vector."""
    product, squares = inner(a, b), inner(a, a).real * inner(b, b).real
    return (product.real**2 + product.imag**2) / squares if squares else 0.0


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    a, b = (call.arguments[name].astype(np.complex128).tolist() for name in ("a", "b"))
    found = np.array([[overlap(x, y) for y in b] for x in a]).reshape(len(a), len(b))
    # The quotient of sums that were rounded may exceed 1 by a few units in its last place.
    return {"overlap": np.minimum(found, 1).astype(np.float32)}
