"""Testbench of the decoder of the Hilbert curve, against the golden model."""

# ruff: noqa: D401 - the docstring of a test states what holds

from typing import Any

import cocotb

from ninefold.sim.golden.hilbert_inverse import point_of
from ninefold.sim.testbench.feed_forward import FunctionTestbench
from ninefold.sim.testbench.fields import join, parameters, split

__all__ = ["HilbertDecoderTestbench"]

#: Largest number of indices that are all tested, and number of random indices of a larger curve.
_EVERY, _RANDOM = 1 << 12, 1500


class HilbertDecoderTestbench(FunctionTestbench):
    """The encoder with the golden model's point at each index."""

    def __init__(self, dut: Any) -> None:
        self.dimensions, self.bits = (parameters()[name] for name in ("dimensions", "bits"))
        super().__init__(dut, 3 - (1 - self.bits) * self.dimensions // 4)

    def model(self, word: int) -> int:
        """Return what is due for a payload of the input."""
        return join((one, self.bits) for one in point_of(word, self.dimensions, self.bits))

    def draw(self) -> int:
        """Return a random payload of the input."""
        return self.random.getrandbits(self.dimensions * self.bits)

    def coordinates(self, word: int) -> list[int]:
        """Return the coordinates of a payload of the output."""
        return split(word, [self.bits] * self.dimensions)

    def describe(self, word: int) -> object:
        """Return a payload of the output for a reader."""
        return self.coordinates(word)


async def started(dut: Any) -> HilbertDecoderTestbench:
    """Return a testbench with the device reset."""
    tb = HilbertDecoderTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """The ends of the curve: it begins at the origin, and ends at the far end of one axis."""
    tb = await started(dut)
    most, last = (1 << tb.bits) - 1, (1 << tb.dimensions * tb.bits) - 1
    assert tb.model(0) == 0, "the model is wrong"
    assert sorted(tb.coordinates(tb.model(last))) == [0] * (tb.dimensions - 1) + [most], "the model is wrong"
    tb.input.send([0, last])
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Indices with one bit set, and with one bit clear."""
    tb = await started(dut)
    width = tb.dimensions * tb.bits
    tb.input.send(word for bit in range(width) for word in (1 << bit, (1 << width) - 1 ^ 1 << bit))
    await tb.finish()


@cocotb.test()
async def every_index(dut: Any) -> None:
    """Every index of a small curve, or random ones of a large curve, at one a cycle."""
    tb = await started(dut)
    indices = 1 << tb.dimensions * tb.bits
    tb.input.send(range(indices) if indices <= _EVERY else (tb.draw() for _ in range(_RANDOM)))
    await tb.finish()
    assert tb.input.bubbles == tb.output.bubbles == 0


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of several lengths under each pattern of the source crossed with each of the sink."""
    await (await started(dut)).cross_sizes_with_back_pressure()


@cocotb.test()
async def latency(dut: Any) -> None:
    """An index is answered after the documented cycles, alone or in a stream."""
    await (await started(dut)).measure_latency()


@cocotb.test()
async def full_rate_returns_after_a_stall(dut: Any) -> None:
    """A blocked sink stops the input when the core is full; once released, indices pass at one a cycle again."""
    await (await started(dut)).stall_and_release()


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left of indices inside."""
    await (await started(dut)).reset_in_mid_stream()
