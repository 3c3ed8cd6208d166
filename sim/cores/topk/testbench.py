"""Testbench of the top-k miner: results, order, ties, batches, throughput and latency against the golden model."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.golden.topk import topk
from ninefold.sim.testbench.fields import join, parameters, signed, split
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["Batch", "TopKTestbench", "latency_of"]

#: Scores of one batch, each with its id.
Batch = Sequence[tuple[int, int]]


def latency_of(k: int) -> int:
    """Return the latency that the miner promises, in cycles."""
    return k + 5 + 2 * -(-(2 * k + 6) // 15)


class TopKTestbench(Testbench):
    """The miner with a model that answers a batch when the device has accepted its last score."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.k: int = given["k"]
        self.signed: bool = given.get("signed", True)
        self.widths = (given["score_width"], given["id_width"], 1)
        top = 1 << self.widths[0]
        self.lowest: int
        self.highest: int
        self.lowest, self.highest = (-top // 2, top // 2 - 1) if self.signed else (0, top - 1)
        self.scores = self.source("scores", self._accept)
        self.results = self.sink("results", self.describe)
        self.ends: list[int] = []
        self._batch: list[tuple[int, int]] = []

    def describe(self, payload: int) -> dict[str, int]:
        """Return the fields of a payload by name."""
        score, identifier, last = split(payload, self.widths)
        return {"score": signed(score, self.widths[0]) if self.signed else score, "id": identifier, "last": last}

    def _accept(self, payload: int) -> None:
        fields = self.describe(payload)
        self._batch.append((fields["score"], fields["id"]))
        if fields["last"]:
            self.ends.append(self.cycle)
            self.results.expected.extend(self._payloads(self._best(self._batch)))
            self._batch = []

    def _best(self, batch: Batch) -> Batch:
        scores = np.array([[score for score, _ in batch]], dtype=object)
        order, _, count = topk(scores, self.k)
        return [batch[i] for i in order[0, : count[0]]]

    def _payloads(self, batch: Batch) -> list[int]:
        """Return scores as payloads, the last one marked."""
        final = len(batch) - 1
        widths = self.widths
        return [join(zip((score, i, n == final), widths, strict=True)) for n, (score, i) in enumerate(batch)]

    async def restart(self) -> None:
        """Reset the device and the model."""
        self._batch = []
        self.ends.clear()
        await self.reset()

    def send(self, batches: Iterable[Batch]) -> None:
        """Queue batches."""
        for batch in batches:
            self.scores.send(self._payloads(batch))

    def named(self, scores: Iterable[int]) -> Batch:
        """Give scores random ids."""
        return [(score, self.random.getrandbits(self.widths[1])) for score in scores]

    def random_batch(self, size: int, random: Random | None = None) -> Batch:
        """Return a batch of one of several distributions: wide, with many ties, or close to an end of the range."""
        random = random or self.random
        spread = random.choice([1, 3, 7, self.highest - self.lowest])
        start = random.choice([self.lowest, self.highest - spread, random.randint(self.lowest, self.highest - spread)])
        return self.named(random.randint(start, start + spread) for _ in range(size))

    async def finish(self, settle: int = 0) -> None:
        """Run to completion, and long enough for surplus results to show."""
        await super().finish(settle or 4 * self.k + 40)

    def send_orders(self) -> None:
        """Queue ascending, descending, equal, alternating and zero scores, in batches around k and well above it."""
        low, high, k = self.lowest, self.highest, self.k
        step = max(1, (high - low) // (2 * k + 9))
        for n in sorted({1, 2, max(1, k - 1), k, k + 1, 2 * k + 8}):
            rising = [min(high, low + i * step) for i in range(n)]
            mixed = [(low, high)[i % 2] for i in range(n)]
            for scores in (rising, rising[::-1], [low] * n, [high] * n, [0] * n, mixed):
                self.send([self.named(scores)])


async def started(dut: Any) -> TopKTestbench:
    """Return a testbench with the device reset."""
    tb = TopKTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Batches with a known outcome, compared with values written by hand and not only with the model."""
    tb = await started(dut)
    low, high = tb.lowest, tb.highest
    tb.send([[(low, 1), (high, 0), (low + 1, 1), (high, 1), (high - 1, 0)]])
    while tb.scores.words:
        await tb.step()
    best = [(high, 0), (high, 1), (high - 1, 0), (low + 1, 1), (low, 1)][: tb.k]
    payloads = [join(zip((score, i, n == len(best) - 1), tb.widths, strict=True)) for n, (score, i) in enumerate(best)]
    assert list(tb.results.expected) == payloads, "the model disagrees with the values written by hand"
    await tb.finish()


@cocotb.test()
async def orders(dut: Any) -> None:
    """Ascending, descending, equal, alternating and zero scores, in batches around k and well above it."""
    tb = await started(dut)
    tb.send_orders()
    await tb.finish()


@cocotb.test()
async def every_short_sequence(dut: Any) -> None:
    """Every sequence of up to five scores of three values, around zero and at both ends of the range."""
    tb = await started(dut)
    low, high = tb.lowest, tb.highest
    middle = max(low, -1)
    longest = 5 if tb.k < 32 else 3
    for values in ((middle, middle + 1, middle + 2), (low, low + 1, high)):
        for n in range(1, longest + 1):
            tb.send(tb.named(min(s, high) for s in scores) for scores in itertools.product(values, repeat=n))
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Pairs of scores that differ in one bit, in both orders; ids with one bit set."""
    tb = await started(dut)
    for bit in range(tb.widths[0]):
        for _ in range(3):
            score = tb.random.randint(tb.lowest, tb.highest)
            payload = join([(score, tb.widths[0])]) ^ (1 << bit)
            other = signed(payload, tb.widths[0]) if tb.signed else payload
            tb.send([tb.named([score, other]), tb.named([other, score])])
    for bit in range(tb.widths[1]):
        tb.send([[(tb.lowest, 1 << bit)], [(0, ~(1 << bit))]])
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Batches of every size around k under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    k = tb.k
    sizes = sorted({1, 2, 3, max(1, k - 1), k, k + 1, k + 2, 2 * k + 1}) if k < 32 else [1, 3, k + 1]
    patterns = list(PATTERNS.values()) if k < 32 else [PATTERNS["bursts"], PATTERNS["half"], always]
    for offered, taken in itertools.product(patterns, repeat=2):
        tb.pace(offered, taken)
        tb.random.shuffle(sizes)
        tb.send(tb.random_batch(n) for n in sizes)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def random_batches(dut: Any) -> None:
    """Many random batches; the patterns change in mid-batch."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(40):
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        tb.send(tb.random_batch(tb.random.randint(1, 3 * min(tb.k, 20))) for _ in range(4))
        await tb.steps(tb.random.randint(1, 200))
    await tb.finish()


@cocotb.test()
async def batches_are_separate(dut: Any) -> None:
    """A batch of low scores straight behind one of high scores: nothing of the first reaches the second."""
    tb = await started(dut)
    low, high, k = tb.lowest, tb.highest, tb.k
    for first, second in itertools.product(sorted({1, max(1, k - 1), k, k + 3}), repeat=2):
        tb.send([tb.named([high] * first), tb.named([low] * second), tb.named([high] * second)])
    await tb.finish()


@cocotb.test()
async def input_never_stalls(dut: Any) -> None:
    """Back-to-back batches of k and more scores, and batches of one length, enter at one score a cycle."""
    tb = await started(dut)
    k = tb.k
    tb.send(tb.random_batch(k + tb.random.choice([0, 0, 1, 2, k])) for _ in range(12))
    await tb.finish()
    assert tb.scores.bubbles == 0, f"{tb.scores.bubbles} bubbles between batches of at least {k} scores"
    for length in sorted({1, 2, max(1, k - 1), k}):
        await tb.restart()
        tb.send(tb.random_batch(length) for _ in range(max(8, 3 * k // length)))
        await tb.finish()
        assert tb.scores.bubbles == 0, f"{tb.scores.bubbles} bubbles between batches of {length} scores"


@cocotb.test()
async def short_batches_wait_no_longer_than_promised(dut: Any) -> None:
    """A batch of n scores behind one of c results takes exactly max(n, c) cycles."""
    tb = await started(dut)
    k = tb.k
    sizes = [k, 1, 1, k + 1, max(1, k // 2), 1, k, max(1, k - 1), 2, k, k]
    tb.send(tb.random_batch(n) for n in sizes)
    await tb.finish()
    counts = [min(n, k) for n in sizes]
    firsts = [tb.results.offered[place] for place in itertools.accumulate(counts[:-1], initial=0)]
    taken = [after - before for before, after in itertools.pairwise(firsts)]
    promised = [max(n, before) for before, n in zip(counts, sizes[1:], strict=False)]
    assert taken == promised, f"batches of {sizes} scores took {taken} cycles, not {promised}"


@cocotb.test()
async def latency(dut: Any) -> None:
    """A lone batch's results are offered one a cycle, from the latency of the miner after its last score on."""
    tb = await started(dut)
    k = tb.k
    for size in sorted({1, 2, k, k + 5}):
        await tb.restart()
        tb.send([tb.random_batch(size)])
        await tb.finish()
        promised = [tb.ends[0] + latency_of(k) + i for i in range(min(size, k))]
        assert tb.results.offered == promised, f"results in cycles {tb.results.offered}, not {promised}"


@cocotb.test()
async def results_wait_for_the_sink(dut: Any) -> None:
    """A sink blocked for long stops the input eventually, and everything comes once it is released."""
    tb = await started(dut)
    k = tb.k
    blocked_for = 8 * k + 200
    tb.pace(always, blocked(blocked_for))
    tb.send(tb.random_batch(k + 1) for _ in range(12 + 60 // k))
    await tb.steps(blocked_for)
    assert not tb.scores.ready, f"scores are still accepted after {blocked_for} blocked cycles"
    assert len(tb.ends) >= 2, "not even one batch enters while the results of another are blocked"
    await tb.finish()


@cocotb.test()
async def reset_in_mid_batch(dut: Any) -> None:
    """After a reset nothing is left of a batch that was entering, of results that were due or on offer."""
    tb = await started(dut)
    k = tb.k
    for _ in range(16):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(tb.random_batch(tb.random.randint(1, k + 3)) for _ in range(6))
        await tb.steps(tb.random.randint(1, 5 * min(k, 20) + 10))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 0, 4 * k + 40]))
        tb.send([tb.named([tb.lowest] * tb.random.randint(1, k + 1)), tb.random_batch(k + 2)])
        await tb.finish(settle=1)
    await tb.finish()
