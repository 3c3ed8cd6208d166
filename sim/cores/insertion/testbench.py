"""Testbench of the top-k by insertion, with the model of the top-k core: results, order, ties, batches, timing."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import cocotb

from ninefold.sim.cores.topk.testbench import TopKTestbench
from ninefold.sim.testbench.streams import PATTERNS, always, blocked

__all__: list[str] = []


async def started(dut: Any) -> TopKTestbench:
    """Return a testbench with the device reset."""
    tb = TopKTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def orders(dut: Any) -> None:
    """Ascending, descending, equal, alternating and zero scores, in batches around k and well above it."""
    tb = await started(dut)
    tb.send_orders()
    await tb.finish()


@cocotb.test()
async def every_short_sequence(dut: Any) -> None:
    """Every sequence of up to four scores of three values."""
    tb = await started(dut)
    middle = max(tb.lowest, -1)
    for n in range(1, 5):
        scores = itertools.product((middle, middle + 1, middle + 2), repeat=n)
        tb.send(tb.named(min(s, tb.highest) for s in sequence) for sequence in scores)
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Pairs of scores that differ in one bit, in both orders; ids with one bit set."""
    tb = await started(dut)
    for bit in range(tb.widths[0]):
        score = tb.random.randint(0, tb.highest)
        other = score ^ (1 << bit) if bit < tb.widths[0] - 1 else score + tb.lowest
        tb.send([tb.named([score, other]), tb.named([other, score])])
    for bit in range(tb.widths[1]):
        tb.send([[(tb.lowest, 1 << bit)], [(0, ~(1 << bit))]])
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Batches of every size around k under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    k = tb.k
    sizes = sorted({1, 2, 3, max(1, k - 1), k, k + 1, k + 2, 2 * k + 1})
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.send(tb.random_batch(n) for n in tb.random.sample(sizes, len(sizes)))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def keeps_up_with_a_slow_source(dut: Any) -> None:
    """A source that leaves `k + 2` cycles between scores is stalled for a cycle behind a batch, and not within one."""
    tb = await started(dut)
    interval = tb.k + 2

    def rarely(_random: Random) -> Iterator[bool]:
        return itertools.cycle([True] + [False] * (interval - 1))

    tb.pace(rarely, always)
    sizes = [tb.k + 1] * 20
    tb.send(map(tb.random_batch, sizes))
    rising = [min(tb.highest, tb.lowest + i) for i in range(3 * tb.k)]
    tb.send([tb.named(rising), tb.named(rising[::-1])])
    await tb.finish()
    gaps = [b - a for a, b in itertools.pairwise(tb.scores.accepted)]
    closing = {total - 1 for total in itertools.accumulate([*sizes, len(rising)])}
    assert all(interval <= gap <= interval + (i in closing) for i, gap in enumerate(gaps)), gaps


@cocotb.test()
async def latency(dut: Any) -> None:
    """The best result is offered at most `k + 4` cycles after the last score, and the others follow one a cycle."""
    tb = await started(dut)
    k = tb.k
    for size in (1, k, k + 3):
        await tb.restart()
        tb.send([tb.random_batch(size)])
        await tb.finish()
        offered = tb.results.offered
        assert offered[0] <= tb.ends[0] + k + 4
        assert offered == list(range(offered[0], offered[0] + min(size, k)))


@cocotb.test()
async def an_offer_does_not_wait_for_the_sink(dut: Any) -> None:
    """A result is offered as soon to a sink that is not ready."""
    tb = await started(dut)
    tb.pace(always, blocked(100))
    tb.send([tb.random_batch(tb.k)])
    await tb.steps(90)
    assert tb.results.offered[0] <= tb.ends[0] + tb.k + 4
    await tb.finish()


@cocotb.test()
async def reset_in_mid_batch(dut: Any) -> None:
    """After a reset nothing is left of a batch that was entering, of results that were due or on offer."""
    tb = await started(dut)
    k = tb.k
    for _ in range(16):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(tb.random_batch(tb.random.randint(1, k + 3)) for _ in range(6))
        await tb.steps(tb.random.randint(1, 20 * k))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 0, 40]))
        tb.send([tb.named([tb.lowest] * tb.random.randint(1, k + 1)), tb.random_batch(k + 2)])
        await tb.finish(settle=1)
    await tb.finish()
