"""Golden model of ``superpose``, and of binary floating-point addition in any format."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ninefold.sim.golden.quantise import quantise
from ninefold.spec.signature import Call

__all__ = ["Format", "nit_of", "run", "sum_of"]


class Format(NamedTuple):
    """Binary format of IEEE 754: a sign, then `exponent` bits, then `fraction` bits."""

    exponent: int
    fraction: int

    @property
    def infinity(self) -> int:
        """Bits of plus infinity."""
        return ((1 << self.exponent) - 1) << self.fraction

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << self.exponent + self.fraction

    def magnitude(self, bits: int) -> Fraction:
        """Return the magnitude of a finite number; the bits of infinity give the number that would follow."""
        exponent, fraction = divmod(bits & (self.sign - 1), 1 << self.fraction)
        significand = fraction if exponent == 0 else fraction + (1 << self.fraction)
        lowest = 2 - (1 << self.exponent - 1) - self.fraction  # exponent of the smallest number above 0
        return significand * Fraction(2) ** (lowest + max(exponent, 1) - 1)

    def value(self, bits: int) -> Fraction:
        """Return a finite number."""
        return -self.magnitude(bits) if bits & self.sign else self.magnitude(bits)

    def nearest(self, magnitude: Fraction) -> int:
        """Return the bits of the nearest number, of two the one with an even last bit; infinity from halfway on."""
        low, high = 0, self.infinity  # low is at or below the magnitude; the search is by bisection
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.magnitude(middle) <= magnitude else (low, middle)
        below, above = magnitude - self.magnitude(low), self.magnitude(high) - magnitude
        if above <= 0:
            return high
        return low if below < above or (below == above and low % 2 == 0) else high


def sum_of(a: int, b: int, form: Format) -> int | None:
    """Return the bits of the sum of two numbers given by their bits; None if it is not a number."""
    size_a, size_b = a & (form.sign - 1), b & (form.sign - 1)
    if max(size_a, size_b) > form.infinity or (size_a == size_b == form.infinity and a != b):
        return None
    if size_a == form.infinity:
        return a
    if size_b == form.infinity:
        return b
    total = form.value(a) + form.value(b)
    if total == 0:
        return a & b & form.sign  # minus zero only where both are
    return form.nearest(abs(total)) | (form.sign if total < 0 else 0)


def nit_of(bits: int, form: Format) -> int:
    """Return the nit of a number: the nearest of -4 to 4 on the grid of 1/4096, ties toward zero."""
    if bits & (form.sign - 1) >= form.infinity:
        return -4 if bits & form.sign else 4
    grid = round(form.magnitude(bits) * 4096)  # Python rounds halves to even
    nit = sum(grid > 4096 * n - 2048 for n in range(1, 5))
    return -nit if bits & form.sign else nit


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call: one float32 sum, then the quantiser."""
    a, b = (call.arguments[name].real.astype(np.float32) for name in ("a", "b"))
    with np.errstate(over="ignore"):  # a sum beyond float32 is infinite
        return {"nits": quantise(a + b, 1.0, "linear")}
