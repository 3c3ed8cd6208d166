"""Testbench of the block queue: every word once, in order, at one a cycle."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from typing import Any

import cocotb

from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["QueueTestbench"]


class QueueTestbench(Testbench):
    """The queue, whose model is that what is accepted is due."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.width: int = parameters()["width"]
        self.depth: int = parameters()["depth"]
        self.input = self.source("input", self._accept)
        self.output = self.sink("output", hex)

    def _accept(self, word: int) -> None:
        self.output.expected.append(word)

    def send(self, count: int) -> None:
        """Queue random words."""
        self.input.send(self.random.getrandbits(self.width) for _ in range(count))


async def started(dut: Any) -> QueueTestbench:
    """Return a testbench with the device reset."""
    tb = QueueTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Words with one bit set, and with one bit clear."""
    tb = await started(dut)
    ones = (1 << tb.width) - 1
    tb.input.send(word for bit in range(tb.width) for word in (1 << bit, ones ^ (1 << bit)))
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of words around the depth under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    sizes = [1, 2, tb.depth - 1, tb.depth, tb.depth + 1, tb.depth + 2, 2 * tb.depth + 1]
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        for size in tb.random.sample(sizes, 3):
            tb.send(size)
            await tb.finish(settle=tb.random.randrange(3))
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A lone word is offered two cycles after its acceptance, and many pass at one a cycle."""
    tb = await started(dut)
    tb.send(1)
    await tb.finish()
    assert tb.output.offered[0] == tb.input.accepted[0] + 2
    await tb.reset()
    tb.send(4 * tb.depth)
    await tb.finish()
    assert tb.input.bubbles == tb.output.bubbles == 0
    assert tb.output.offered[0] == tb.input.accepted[0] + 2


@cocotb.test()
async def fills_up_and_empties(dut: Any) -> None:
    """A blocked sink stops the input when the memory is full and one word is on offer, and not before."""
    tb = await started(dut)
    # A source that pauses sees that room is not lost in a pause.
    for offered in (always, PATTERNS["half"], PATTERNS["half"], PATTERNS["bursts"]):
        wait = 20 * tb.depth + 20
        tb.pace(offered, blocked(wait + 5))
        tb.send(tb.depth + 7)
        await tb.steps(wait)
        assert len(tb.input.words) == 7 - 1, "it holds one more than its memory"
        await tb.finish()


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left."""
    tb = await started(dut)
    for _ in range(10):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(2 * tb.depth)
        await tb.steps(tb.random.randint(1, 2 * tb.depth))
        await tb.reset()
        await tb.steps(tb.random.choice([0, 5]))
        tb.send(3)
        await tb.finish()
