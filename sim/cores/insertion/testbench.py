"""Testbench of the top-k by insertion, with the model of the top-k core: results, order, ties, batches, timing."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import cocotb

from ninefold.sim.cores.topk.testbench import TopKBench
from ninefold.sim.testbench.streams import PATTERNS, always, blocked

__all__: list[str] = []


async def started(dut: Any) -> TopKBench:
    """Return a testbench with the device reset."""
    bench = TopKBench(dut)
    await bench.restart()
    return bench


@cocotb.test()
async def orders(dut: Any) -> None:
    """Ascending, descending, equal, alternating and zero scores, in batches around k and well above it."""
    bench = await started(dut)
    bench.send_orders()
    await bench.finish()


@cocotb.test()
async def every_short_sequence(dut: Any) -> None:
    """Every sequence of up to four scores of three values."""
    bench = await started(dut)
    middle = max(bench.lowest, -1)
    for n in range(1, 5):
        scores = itertools.product((middle, middle + 1, middle + 2), repeat=n)
        bench.send(bench.named(min(s, bench.highest) for s in sequence) for sequence in scores)
    await bench.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Pairs of scores that differ in one bit, in both orders; ids with one bit set."""
    bench = await started(dut)
    for bit in range(bench.widths[0]):
        score = bench.random.randint(0, bench.highest)
        other = score ^ (1 << bit) if bit < bench.widths[0] - 1 else score + bench.lowest
        bench.send([bench.named([score, other]), bench.named([other, score])])
    for bit in range(bench.widths[1]):
        bench.send([[(bench.lowest, 1 << bit)], [(0, ~(1 << bit))]])
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Batches of every size around k under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    k = bench.k
    sizes = sorted({1, 2, 3, max(1, k - 1), k, k + 1, k + 2, 2 * k + 1})
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        bench.send(bench.random_batch(n) for n in bench.random.sample(sizes, len(sizes)))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def keeps_up_with_a_slow_source(dut: Any) -> None:
    """A source that leaves `k + 2` cycles between scores is stalled for a cycle behind a batch, and not within one."""
    bench = await started(dut)
    interval = bench.k + 2

    def rarely(_random: Random) -> Iterator[bool]:
        return itertools.cycle([True] + [False] * (interval - 1))

    bench.pace(rarely, always)
    sizes = [bench.k + 1] * 20
    bench.send(map(bench.random_batch, sizes))
    rising = [min(bench.highest, bench.lowest + i) for i in range(3 * bench.k)]
    bench.send([bench.named(rising), bench.named(rising[::-1])])
    await bench.finish()
    gaps = [b - a for a, b in itertools.pairwise(bench.scores.accepted)]
    closing = {total - 1 for total in itertools.accumulate([*sizes, len(rising)])}
    assert all(interval <= gap <= interval + (i in closing) for i, gap in enumerate(gaps)), gaps


@cocotb.test()
async def latency(dut: Any) -> None:
    """The best result is offered at most `k + 4` cycles after the last score, and the others follow one a cycle."""
    bench = await started(dut)
    k = bench.k
    for size in (1, k, k + 3):
        await bench.restart()
        bench.send([bench.random_batch(size)])
        await bench.finish()
        offered = bench.results.offered
        assert offered[0] <= bench.ends[0] + k + 4
        assert offered == list(range(offered[0], offered[0] + min(size, k)))


@cocotb.test()
async def an_offer_does_not_wait_for_the_sink(dut: Any) -> None:
    """A result is offered as soon to a sink that is not ready."""
    bench = await started(dut)
    bench.pace(always, blocked(100))
    bench.send([bench.random_batch(bench.k)])
    await bench.steps(90)
    assert bench.results.offered[0] <= bench.ends[0] + bench.k + 4
    await bench.finish()


@cocotb.test()
async def reset_in_mid_batch(dut: Any) -> None:
    """After a reset nothing is left of a batch that was entering, of results that were due or on offer."""
    bench = await started(dut)
    k = bench.k
    for _ in range(16):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        bench.send(bench.random_batch(bench.random.randint(1, k + 3)) for _ in range(6))
        await bench.steps(bench.random.randint(1, 20 * k))
        await bench.restart()
        await bench.steps(bench.random.choice([0, 0, 40]))
        bench.send([bench.named([bench.lowest] * bench.random.randint(1, k + 1)), bench.random_batch(k + 2)])
        await bench.finish(settle=1)
    await bench.finish()
