"""Testbench of the floating-point adder and its nit, against the golden model's exact sums."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from typing import Any

import cocotb

from ninefold.sim.golden.superpose import Format, nit_of, sum_of
from ninefold.sim.testbench.feed_forward import FunctionTestbench
from ninefold.sim.testbench.fields import join, parameters, signed, split
from ninefold.spec.formats import NIT_BITS

__all__ = ["SuperposeTestbench"]

#: Largest number of pairs that are all tested, and number of random pairs of a wider format.
_EVERY, _RANDOM = 1 << 14, 3000


class SuperposeTestbench(FunctionTestbench):
    """The core with the exact sum of each pair, rounded once."""

    def __init__(self, dut: Any) -> None:
        self.form = Format(parameters()["exponent"], parameters()["fraction"])
        self.width = 1 + self.form.exponent + self.form.fraction
        super().__init__(dut, 12)

    def model(self, word: int) -> int:
        """Return what is due for a payload of the input."""
        a, b = split(word, [self.width] * 2)
        total = sum_of(a, b, self.form)
        if total is None:
            return self.form.infinity | 1 << self.form.fraction - 1
        return join([(total, self.width), (nit_of(total, self.form), NIT_BITS)])

    def draw(self) -> int:
        """Return a pair whose exponents are often near, and whose sum is often near an edge."""
        a, b = (self.random.choice([self.random.choice(self.edges()), self.any()]) for _ in range(2))
        if self.random.getrandbits(1):
            b = self.any() % (1 << self.form.fraction) | a >> self.form.fraction << self.form.fraction
            b = max(0, b + (self.random.randint(-3, 3) << self.form.fraction))
        return self.pair(a, b % (1 << self.width))

    def any(self) -> int:
        """Return the bits of any number."""
        return self.random.getrandbits(self.width)

    def edges(self) -> list[int]:
        """Return numbers at and beside the ends of ranges, and where nits begin, of either sign."""
        one, infinity = 1 << self.form.fraction, self.form.infinity
        bias = (1 << self.form.exponent - 1) - 1
        places = [bias + power << self.form.fraction for power in (-1, 0, 1) if bias + power > 0]
        halves = [place + quarter * one // 4 for place in places for quarter in range(4)]
        near = [place + step for place in (one, 2 * one, *halves) for step in (-1, 0, 1)]
        sizes = dict.fromkeys([0, 1, 2, *near, infinity - one, infinity - 1, infinity, infinity + 1, 2 * infinity])
        return [size | sign for size in sizes if size < self.form.sign for sign in (0, self.form.sign)]

    def pair(self, a: int, b: int) -> int:
        """Return the payload of a pair."""
        return join([(a, self.width), (b, self.width)])

    def describe(self, word: int) -> object:
        """Return a payload of the output for a reader."""
        total, nit = split(word, [self.width, NIT_BITS])
        return f"sum {total:#x}, nit {signed(nit, NIT_BITS)}"


async def started(dut: Any) -> SuperposeTestbench:
    """Return a testbench with the device reset."""
    tb = SuperposeTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Sums and nits written by hand: carries, cancellation, ties to even, both zeros, infinities and NaN."""
    tb = await started(dut)
    f, sign, infinity = tb.form.fraction, tb.form.sign, tb.form.infinity
    one = (1 << tb.form.exponent - 1) - 1 << f
    half, two, quiet = one - (1 << f), one + (1 << f), infinity | 1 << f - 1
    by_hand = {
        (one, one): (two, 2),
        (one, sign | one): (0, 0),
        (sign | one, one): (0, 0),
        (0, sign): (0, 0),
        (sign, sign): (sign, 0),
        (half, 0): (half, 0),
        (half + 1, 0): (half + 1, 1 if f < 11 else 0),
        (1, 1): (2, 0),
        ((1 << f) - 1, 1): (1 << f, 0),
        (two, sign | one + 1): (one - 2, 1),
        (infinity - 1, infinity - 1): (infinity, 4),
        (sign | infinity, one): (sign | infinity, -4),
        (infinity, sign | infinity): (quiet, 0),
        (infinity + 1, one): (quiet, 0),
        (sign | two, sign | one): (sign | two + (1 << f - 1), -3),
    }
    for (a, b), (total, nit) in by_hand.items():
        word = tb.pair(a, b)
        assert tb.model(word) == join([(total, tb.width), (nit, NIT_BITS)]), f"the model is wrong of {a:#x} + {b:#x}"
        tb.input.send([word])
    await tb.finish()


@cocotb.test()
async def edges_crossed(dut: Any) -> None:
    """Every pair of edges."""
    tb = await started(dut)
    tb.input.send(tb.pair(a, b) for a, b in itertools.product(tb.edges(), repeat=2))
    await tb.finish()


@cocotb.test()
async def every_pair(dut: Any) -> None:
    """Every pair of a small format, or random ones of a large format, at one a cycle."""
    tb = await started(dut)
    pairs = 1 << 2 * tb.width
    tb.input.send(range(pairs) if pairs <= _EVERY else (tb.draw() for _ in range(_RANDOM)))
    await tb.finish()
    assert tb.input.bubbles == tb.output.bubbles == 0


@cocotb.test()
async def every_shift(dut: Any) -> None:
    """A number and each power of two below it, added and subtracted, so that each place of the sum is rounded."""
    tb = await started(dut)
    f, fields = tb.form.fraction, tb.form.infinity >> tb.form.fraction
    for field in range(fields):
        for size in (0, 1, (1 << f) - 1, tb.random.getrandbits(f)):
            large = (fields - 1 << f) + tb.random.getrandbits(f)
            low = max(0, min(fields - 1, field)) << f
            tb.input.send(tb.pair(large, low + size | sign) for sign in (0, tb.form.sign))
            near = max(0, field - tb.random.randint(0, f + 4)) << f
            tb.input.send(tb.pair((field << f) + tb.random.getrandbits(f), near | size | sign)
                          for sign in (0, tb.form.sign))  # fmt: skip
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of several lengths under each pattern of the source crossed with each of the sink."""
    await (await started(dut)).cross_sizes_with_back_pressure()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A pair is answered after the documented cycles, alone or in a stream."""
    await (await started(dut)).measure_latency()


@cocotb.test()
async def full_rate_returns_after_a_stall(dut: Any) -> None:
    """A blocked sink stops the input when the core is full; once released, pairs pass at one a cycle again."""
    await (await started(dut)).stall_and_release()


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left of pairs inside."""
    await (await started(dut)).reset_in_mid_stream()
