"""Testbench of the block queue: every word once, in order, at one a cycle."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from typing import Any

import cocotb

from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import PATTERNS, Bench, always, blocked

__all__ = ["QueueBench"]


class QueueBench(Bench):
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


async def started(dut: Any) -> QueueBench:
    """Return a testbench with the device reset."""
    bench = QueueBench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Words with one bit set, and with one bit clear."""
    bench = await started(dut)
    ones = (1 << bench.width) - 1
    bench.input.send(word for bit in range(bench.width) for word in (1 << bit, ones ^ (1 << bit)))
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of words around the depth under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    sizes = [1, 2, bench.depth - 1, bench.depth, bench.depth + 1, bench.depth + 2, 2 * bench.depth + 1]
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        for size in bench.random.sample(sizes, 3):
            bench.send(size)
            await bench.finish(settle=bench.random.randrange(3))
    await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A lone word is offered two cycles after its acceptance, and many pass at one a cycle."""
    bench = await started(dut)
    bench.send(1)
    await bench.finish()
    assert bench.output.offered[0] == bench.input.accepted[0] + 2
    await bench.reset()
    bench.send(4 * bench.depth)
    await bench.finish()
    assert bench.input.bubbles == bench.output.bubbles == 0
    assert bench.output.offered[0] == bench.input.accepted[0] + 2


@cocotb.test()
async def fills_up_and_empties(dut: Any) -> None:
    """A blocked sink stops the input when the memory is full and one word is on offer, and not before."""
    bench = await started(dut)
    # A source that pauses sees that room is not lost in a pause.
    for offered in (always, PATTERNS["half"], PATTERNS["half"], PATTERNS["bursts"]):
        wait = 20 * bench.depth + 20
        bench.pace(offered, blocked(wait + 5))
        bench.send(bench.depth + 7)
        await bench.steps(wait)
        assert len(bench.input.words) == 7 - 1, "it holds one more than its memory"
        await bench.finish()


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left."""
    bench = await started(dut)
    for _ in range(10):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        bench.send(2 * bench.depth)
        await bench.steps(bench.random.randint(1, 2 * bench.depth))
        await bench.reset()
        await bench.steps(bench.random.choice([0, 5]))
        bench.send(3)
        await bench.finish()
