"""Proofs of the floating-point adder and its nit: order and time, and the sum against exact integers."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Const, Cover, Module, Mux, Signal, Value, signed

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.feed_forward import computed, follow_function
from ninefold.sim.formal.proof import Method, Proof
from ninefold.spec.formats import GRID_FRACTION_BITS, THRESHOLDS

__all__ = ["PROOFS"]

_SMALL = {"exponent": 3, "fraction": 2}
_LARGE = {"exponent": 4, "fraction": 3}


def _order(m: Module, core: Any, inside: Inside) -> None:
    """Follow any pair, whose sum is what the steps give without registers."""
    watch = follow_function(m, core, inside, lambda payload: computed(m, core, payload))
    m.d.sync += Cover(watch.done & (watch.inside == core.capacity))


def _sum(m: Module, core: Any, _inside: Inside) -> None:
    """Compare the sum of any pair with the two numbers beside it: it is the nearest, or of two the even one."""
    pair, out = Signal(core.input.payload.shape(), name="pair"), Signal(core.output.payload.shape(), name="out")
    m.d.comb += [Value.cast(pair).eq(AnySeq(pair.shape().size)), Value.cast(out).eq(computed(m, core, pair))]
    infinity = (1 << core.exponent) - 1 << core.fraction
    a, b, found = (number[:-1] for number in (pair.a, pair.b, out.sum))
    finite = (a < infinity) & (b < infinity)
    # Exact sum, in units of the smallest number above 0.
    exact = Signal(signed(_width(core) + 1))
    m.d.comb += exact.eq(_signed(m, core, pair.a) + _signed(m, core, pair.b))
    size = Mux(exact < 0, -exact, exact)[: _width(core)]
    here, below, above = (_magnitude(m, core, bits) for bits in (found, found - 1, found + 1))
    odd = found[0]
    with m.If(finite):
        m.d.comb += [
            Assert(found <= infinity, "the sum of two numbers is not a number"),
            Assert((found == 0) | (2 * size >= below + here + odd), "a smaller number is nearer, or as near and even"),
            Assert(
                (found == infinity) | (2 * size + odd <= here + above), "a larger number is nearer, or as near and even"
            ),
            Assert((exact == 0) | (out.sum[-1] == (exact < 0)), "another sign"),
            Assert((exact != 0) | (out.sum[-1] == (pair.a[-1] & pair.b[-1])), "another sign of 0"),
        ]
    with m.Else():
        opposite = (a == infinity) & (b == infinity) & (pair.a[-1] != pair.b[-1])
        invalid = (a > infinity) | (b > infinity) | opposite
        m.d.comb += [
            Assert(invalid == (found > infinity), "what has no sum is a number, or what has one is none"),
            Assert(~invalid | (out.nit == 0)),
            Assert(invalid | (out.sum == Mux(a == infinity, pair.a, pair.b)), "another infinity"),
        ]
    _nit(m, core, out, here)
    m.d.sync += [
        Cover(finite & (found == infinity)),
        Cover(finite & (2 * size == here + above) & (out.nit == -2)),
        Cover(finite & (size != 0) & (found < 1 << core.fraction) & (a > found)),
    ]


def _nit(m: Module, core: Any, out: Any, size: Value) -> None:
    """Assert the nit of a sum, by the exact comparison of its magnitude with the middles between grid values."""
    bias = (1 << core.exponent - 1) - 1
    unit = bias + core.fraction - 1  # negated exponent of the smallest number above 0
    reached = [
        (size << GRID_FRACTION_BITS + 1) > Const((2 * grid - 1) << unit) for grid in THRESHOLDS["linear"].reached_at
    ]
    count = sum(reached)
    with m.If(out.sum[:-1] <= (1 << core.exponent) - 1 << core.fraction):
        m.d.comb += Assert(out.nit == Mux(out.sum[-1], -count, count), "another nit")


def _width(core: Any) -> int:
    """Bits of the largest magnitude, and of the sum of two."""
    return int((1 << core.exponent) + core.fraction + 1)


def _magnitude(m: Module, core: Any, bits: Value) -> Value:
    """Return a magnitude in units of the smallest number; the bits of infinity give the number that would follow."""
    magnitude = Signal(_width(core))
    fraction, exponent = bits[: core.fraction], bits[core.fraction : core.fraction + core.exponent]
    with m.If(exponent == 0):
        m.d.comb += magnitude.eq(fraction)
    with m.Else():
        m.d.comb += magnitude.eq(((1 << core.fraction) + fraction) << (exponent - 1)[: core.exponent])
    return magnitude


def _signed(m: Module, core: Any, number: Value) -> Value:
    size = _magnitude(m, core, number[:-1])
    return Mux(number[-1], -size, size)


PROOFS = (
    Proof(
        "superpose",
        "order",
        "every pair leaves once, in order and in time, with the sum and nit of the core's steps, and stays stable "
        "until accepted",
        _order,
        Method.INDUCTION,
        depth=2,
        cover=20,
        parameters=_SMALL,
    ),
    Proof(
        "superpose",
        "sum",
        "the sum of any two numbers is the number nearest to their exact sum, of two the one with an even last bit, "
        "with its sign; the nit is the sum's; infinities and NaN as IEEE 754 has them",
        _sum,
        Method.INDUCTION,
        depth=1,
        cover=2,
        parameters=_LARGE,
    ),
)
