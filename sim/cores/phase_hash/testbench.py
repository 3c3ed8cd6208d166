"""Testbench of the phase hash, against the golden model."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from typing import Any

import cocotb

from ninefold.sim.golden.phase_hash import quadrant
from ninefold.sim.testbench.feed_forward import FunctionTestbench
from ninefold.sim.testbench.fields import join, parameters, signed, split

__all__ = ["PhaseHashTestbench"]


class PhaseHashTestbench(FunctionTestbench):
    """The phase hash with the golden model's quadrants."""

    def __init__(self, dut: Any) -> None:
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.width: int = given["width"]
        self.floating: bool = given["floating"]
        super().__init__(dut, 5)

    def model(self, word: int) -> int:
        """Return what is due for a payload of the input."""
        parts = [self.number(part) for part in split(word, [self.width] * 2 * self.dimensions)]
        numbers = zip(parts[::2], parts[1::2], strict=True)
        return sum(quadrant(re, im) << 2 * d for d, (re, im) in enumerate(numbers))

    def number(self, bits: int) -> int:
        """Return a number with the sign of a part, 0 where the part is 0."""
        if not self.floating:
            return signed(bits, self.width)
        magnitude = bits & ((1 << self.width - 1) - 1)
        return -magnitude if bits >> self.width - 1 else magnitude

    def draw(self) -> int:
        """Return a random payload of the input."""
        return self.point([self.random.choice(self.edges()) for _ in range(2 * self.dimensions)])

    def edges(self) -> list[int]:
        """Return zeros of either sign, parts with one bit set beside the sign, and a random part."""
        sign = 1 << self.width - 1
        ones = [1 << bit for bit in range(self.width - 1)]
        return [0, sign, *ones, *(sign | one for one in ones), 2 * sign - 1, self.random.getrandbits(self.width)]

    def point(self, parts: list[int]) -> int:
        """Return the payload of a point."""
        return join((part, self.width) for part in parts)


async def started(dut: Any) -> PhaseHashTestbench:
    """Return a testbench with the device reset."""
    tb = PhaseHashTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """All pairs of signs and zeros in each number, with the quadrant written by hand."""
    tb = await started(dut)
    low = (1 << tb.width) - 1 if not tb.floating else (1 << tb.width - 1) + 1
    zeros = [0, 1 << tb.width - 1] if tb.floating else [0]
    by_hand = {
        **{(1, im): 0 for im in (1, *zeros)},
        **{(re, 1): 1 for re in (low, *zeros)},
        **{(low, im): 2 for im in (low, *zeros)},
        **{(re, low): 3 for re in (1, *zeros)},
        **{(re, im): 0 for re in zeros for im in zeros},
    }
    for number in range(tb.dimensions):
        for (re, im), due in by_hand.items():
            parts = [0, 0] * number + [re, im] + [0, 0] * (tb.dimensions - number - 1)
            word = tb.point(parts)
            assert tb.model(word) == due << 2 * number, "the model is wrong"
            tb.input.send([word])
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Every part with one bit set, of either sign, beside every sign of the other part."""
    tb = await started(dut)
    for number, edge in itertools.product(range(tb.dimensions), tb.edges()):
        for re, im in ((edge, 0), (0, edge), (edge, edge)):
            parts = tb.random.choices(tb.edges(), k=2 * tb.dimensions)
            parts[2 * number : 2 * number + 2] = re, im
            tb.input.send([tb.point(parts)])
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of several lengths under each pattern of the source crossed with each of the sink."""
    await (await started(dut)).cross_sizes_with_back_pressure()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A point is answered after the documented cycles, alone or in a stream."""
    await (await started(dut)).measure_latency()


@cocotb.test()
async def full_rate_returns_after_a_stall(dut: Any) -> None:
    """A blocked sink stops the input when the core is full; once released, points pass at one a cycle again."""
    await (await started(dut)).stall_and_release()


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left of points inside."""
    await (await started(dut)).reset_in_mid_stream()
