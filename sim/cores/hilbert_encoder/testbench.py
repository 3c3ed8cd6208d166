"""Testbench of the encoder of the Hilbert curve, against the golden model."""

# ruff: noqa: D401 - the docstring of a test states what holds

from typing import Any

import cocotb

from ninefold.sim.golden.hilbert import index_of
from ninefold.sim.testbench.feed_forward import FunctionTestbench
from ninefold.sim.testbench.fields import join, parameters, split

__all__ = ["HilbertEncoderTestbench"]

#: Largest number of points that are all tested, and number of random points of a larger curve.
_EVERY, _RANDOM = 1 << 12, 1500


class HilbertEncoderTestbench(FunctionTestbench):
    """The encoder with the golden model's index of each point."""

    def __init__(self, dut: Any) -> None:
        self.dimensions, self.bits = (parameters()[name] for name in ("dimensions", "bits"))
        super().__init__(dut, 4 - (1 - self.bits) * self.dimensions // 4)

    def model(self, word: int) -> int:
        """Return what is due for a payload of the input."""
        return index_of(split(word, [self.bits] * self.dimensions), self.bits)

    def draw(self) -> int:
        """Return a random payload of the input."""
        return self.random.getrandbits(self.dimensions * self.bits)

    def point(self, *coordinates: int) -> int:
        """Return the payload of a point."""
        return join((coordinate, self.bits) for coordinate in coordinates)


async def started(dut: Any) -> HilbertEncoderTestbench:
    """Return a testbench with the device reset."""
    tb = HilbertEncoderTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """The ends of the curve: it begins at the origin, and ends at the far end of one axis."""
    tb = await started(dut)
    most, last = (1 << tb.bits) - 1, (1 << tb.dimensions * tb.bits) - 1
    assert tb.model(0) == 0, "the model is wrong"
    ends = [tb.point(*(most * (i == axis) for i in range(tb.dimensions))) for axis in range(tb.dimensions)]
    assert [tb.model(end) for end in ends].count(last) == 1, "the model is wrong"
    tb.input.send([0, *ends])
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Points with one bit set, and with one bit clear."""
    tb = await started(dut)
    width = tb.dimensions * tb.bits
    tb.input.send(word for bit in range(width) for word in (1 << bit, (1 << width) - 1 ^ 1 << bit))
    await tb.finish()


@cocotb.test()
async def every_point(dut: Any) -> None:
    """Every point of a small curve, or random ones of a large curve, at one a cycle."""
    tb = await started(dut)
    points = 1 << tb.dimensions * tb.bits
    tb.input.send(range(points) if points <= _EVERY else (tb.draw() for _ in range(_RANDOM)))
    await tb.finish()
    assert tb.input.bubbles == tb.output.bubbles == 0


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
