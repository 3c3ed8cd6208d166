"""Testbench of the threshold selection: results, order, ties, scans and timing against the golden model of top-k."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.golden.topk import topk
from ninefold.sim.testbench.fields import join, parameters, signed, split
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["Rows", "ThresholdTestbench"]

#: Scores of a query's rows; None for a row that does not take part.
Rows = Sequence[int | None]
#: Cycles from the acceptance of a word in the second scan to the offer of its result, if another one follows at once.
_LATENCY = 7


class ThresholdTestbench(Testbench):
    """The core with a model that answers a query when the device has accepted its limit."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.keep: int = given["keep"]
        self.rows: int = given["rows"]
        self.depth: int = given["depth"]
        self.bits = 1 + (4 * self.dimensions).bit_length()
        self.id_bits = max(1, (self.depth - 1).bit_length())
        words = -(-self.depth // self.rows)
        self.widths = (*[self.bits] * self.rows, self.rows, max(1, (words - 1).bit_length()), 1)
        # Sources of which both transfer in a cycle call the model in this order.
        self.scores = self.source("scores", self._accept)
        self.limit = self.source("limit", self._limit)
        self.results = self.sink("results", self.describe)
        #: Cycles in which a scan began and ended, two of each a query.
        self.begins: list[int] = []
        self.ends: list[int] = []
        self._scan: dict[int, int] = {}
        self._within = False

    @property
    def top(self) -> int:
        """Largest score."""
        return 4 * self.dimensions

    def describe(self, payload: int) -> dict[str, int]:
        """Return the fields of a result by name."""
        score, identifier, valid, last = split(payload, (self.bits, self.id_bits, 1, 1))
        return {"score": signed(score, self.bits), "id": identifier, "valid": valid, "last": last}

    def _accept(self, payload: int) -> None:
        *scores, valid, word, last = split(payload, self.widths)
        if not self._within:
            self.begins.append(self.cycle)
        self._within = not last
        if len(self.begins) % 2:
            for i, score in enumerate(scores):
                if valid >> i & 1:
                    self._scan[word * self.rows + i] = signed(score, self.bits)
        if last:
            self.ends.append(self.cycle)

    def _limit(self, limit: int) -> None:
        outside = "a limit is accepted outside the search"
        assert len(self.ends) % 2, outside
        assert not self._within, outside
        self.results.expected.extend(self._answer(self._scan, limit))
        self._scan = {}

    def _answer(self, scan: dict[int, int], limit: int) -> list[int]:
        ids = sorted(scan)
        order, _, count = topk(np.array([[scan[i] for i in ids]], dtype=object), limit)
        chosen = sorted(ids[place] for place in order[0, : count[0]])
        widths = (self.bits, self.id_bits, 1, 1)
        if not chosen:
            return [join(zip((0, 0, 0, 1), widths, strict=True))]
        return [join(zip((scan[i], i, 1, i == chosen[-1]), widths, strict=True)) for i in chosen]

    async def restart(self) -> None:
        """Reset the device and the model."""
        self._scan = {}
        self._within = False
        self.begins.clear()
        self.ends.clear()
        await self.reset()

    def words(self, rows: Rows) -> list[int]:
        """Return one scan as payloads; rows that do not take part, and those that are missing, have random scores."""
        count = -(-len(rows) // self.rows)
        found = []
        for word in range(count):
            given = list(rows[word * self.rows : (word + 1) * self.rows])
            given += [None] * (self.rows - len(given))
            valid = sum((score is not None) << i for i, score in enumerate(given))
            scores = [self.random.randint(-self.top, self.top) if score is None else score for score in given]
            found.append(join(zip((*scores, valid, word, word == count - 1), self.widths, strict=True)))
        return found

    def send(self, queries: Iterable[tuple[Rows, int]]) -> None:
        """Queue queries: their rows, twice, and the limit."""
        for rows, limit in queries:
            self.scores.send(self.words(rows))
            self.scores.send(self.words(rows))
            self.limit.send([limit])

    def random_rows(self, size: int) -> Rows:
        """Return rows of one parity: any scores, or a few neighbours; all rows take part, some, or none."""
        scores = range(-self.top + self.random.randrange(2), self.top + 1, 2)
        spread = self.random.choice([1, 2, 5, len(scores)])
        start = self.random.choice([0, max(0, len(scores) - spread), self.random.randrange(len(scores))])
        chosen = scores[start : start + spread]
        share = self.random.choice([0.0, 0.1, 0.6, 1.0, 1.0, 1.0])
        return [self.random.choice(chosen) if self.random.random() < share else None for _ in range(size)]

    def random_query(self) -> tuple[Rows, int]:
        """Return rows and a limit, with either end of both ranges among them."""
        size = self.random.choice([1, self.depth, self.random.randint(1, self.depth)])
        return self.random_rows(size), self.random.choice([1, self.keep, self.random.randint(1, self.keep)])


async def started(dut: Any) -> ThresholdTestbench:
    """Return a testbench with the device reset."""
    tb = ThresholdTestbench(dut)
    await tb.restart()
    return tb


def _searches(tb: ThresholdTestbench) -> list[int]:
    """Return the cycles between the two scans of each query."""
    return [begin - end - 1 for end, begin in zip(tb.ends[::2], tb.begins[1::2], strict=True)]


@cocotb.test()
async def directed(dut: Any) -> None:
    """Queries with a known outcome, compared with values written by hand and not only with the model."""
    tb = await started(dut)
    top = tb.top
    rows = [-top, top, top - 2, top, -top][: tb.depth]
    widths = (tb.bits, tb.id_bits, 1, 1)
    by_limit = {1: [1], 2: [1, 3], 3: [1, 2, 3], 4: [0, 1, 2, 3], 5: [0, 1, 2, 3, 4]}
    for limit, ids in by_limit.items():
        if limit > tb.keep or tb.depth < len(rows):
            continue
        tb.send([(rows, limit)])
        while tb.limit.words:
            await tb.step()
        payloads = [join(zip((rows[i], i, 1, i == ids[-1]), widths, strict=True)) for i in ids]
        assert list(tb.results.expected) == payloads, "the model disagrees with the values written by hand"
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def every_threshold_and_limit(dut: Any) -> None:
    """A row at each score, equal rows at each score, and rows at the ends of the range, with limits around each."""
    tb = await started(dut)
    top = tb.top
    for parity in (0, 1):
        scores = list(range(-top + parity, top + 1, 2))
        step = max(1, len(scores) // 64)
        for score in scores[::step] + scores[-1:]:
            size = min(tb.depth, tb.rows + 3)
            for limit in {1, min(tb.keep, size - 1) or 1, min(tb.keep, size)}:
                others = [tb.random.choice([scores[0], score, scores[-1]]) for _ in range(size - 1)]
                tb.send([([score] * size, limit), ([*others, score], limit)])
        tb.send([(scores[: tb.depth], limit) for limit in sorted({1, min(tb.keep, 7), tb.keep})])
        tb.send([(scores[::-1][: tb.depth], limit) for limit in sorted({1, min(tb.keep, 7), tb.keep})])
    await tb.finish()


@cocotb.test()
async def each_bit_of_a_score_counts(dut: Any) -> None:
    """Two rows that differ in one bit of their place, in both orders, with limit 1."""
    tb = await started(dut)
    for bit in range((4 * tb.dimensions).bit_length()):
        for _ in range(3):
            place = tb.random.randrange(4 * tb.dimensions)
            other = place ^ (1 << bit)
            if other > 4 * tb.dimensions:
                continue
            pair = [2 * value - tb.top for value in (place, other)][: tb.depth]
            tb.send([(pair, 1), (pair[::-1], 1)])
    await tb.finish()


@cocotb.test()
async def counts_in_consecutive_cycles(dut: Any) -> None:
    """Equal and alternating scores of a lane in consecutive words, at every distance that the counting overlaps."""
    tb = await started(dut)
    words = -(-tb.depth // tb.rows)
    for distance in range(1, 6):
        for _ in range(3):
            places = [tb.random.randrange(4 * tb.dimensions + 1) for _ in range(distance)]
            rows = [2 * places[word % distance] - tb.top for word in range(words) for _ in range(tb.rows)][: tb.depth]
            tb.send([(rows, tb.random.randint(1, tb.keep))])
    await tb.finish()


@cocotb.test()
async def rows_that_take_no_part(dut: Any) -> None:
    """Queries of which no row, one, or all but one take part; limits above and below their number."""
    tb = await started(dut)
    for size in sorted({1, min(tb.depth, tb.rows), min(tb.depth, tb.rows + 1), tb.depth}):
        for limit in sorted({1, tb.keep}):
            nothing: Rows = [None] * size
            rows = [2 * tb.random.randrange(4 * tb.dimensions + 1) - tb.top for _ in range(size)]
            alone = tb.random.randrange(size)
            one = [score if i == alone else None for i, score in enumerate(rows)]
            rest = [None if i == alone else score for i, score in enumerate(rows)]
            tb.send([(nothing, limit), (one, limit), (nothing, limit), (rest, limit), (rows, limit)])
    await tb.finish()


@cocotb.test()
async def equal_rows_after_the_selected_ones(dut: Any) -> None:
    """Whole words of equal rows follow those that fill the limit, and none of them is selected."""
    tb = await started(dut)
    for limit in sorted({1, min(tb.rows, tb.keep), tb.keep}):
        selected: Rows = [0] * limit + [None] * (-limit % tb.rows)
        tb.send([([*selected, *[0] * tb.depth][: tb.depth], limit)])
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Queries of several sizes under each pattern of the sources crossed with each of the sink."""
    tb = await started(dut)
    sizes = sorted({1, min(tb.depth, tb.rows + 1), tb.depth})
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.random.shuffle(sizes)
        tb.send((tb.random_rows(size), tb.random.randint(1, tb.keep)) for size in sizes)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def random_queries(dut: Any) -> None:
    """Many random queries; the patterns change in mid-scan, and limits come late."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(40):
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        tb.limit.pace(tb.random.choice(patterns))
        tb.send(tb.random_query() for _ in range(3))
        await tb.steps(tb.random.randint(1, 200))
    await tb.finish()


@cocotb.test()
async def searches_in_time(dut: Any) -> None:
    """The second scan begins within the promised cycles, and no word of a scan waits while nothing blocks results."""
    tb = await started(dut)
    words = -(-tb.depth // tb.rows)
    scores = [-tb.top, -tb.top + 2, 0, tb.top]
    # At most one row of a word is selected, so results never wait for one another.
    alone: list[Rows] = [([score] + [None] * (tb.rows - 1)) * words for score in scores]
    tb.send((rows[: tb.depth], 1) for rows in [*alone, [None] * tb.depth])
    await tb.finish()
    if tb.rows <= 4 or tb.dimensions >= 77:
        promised = 2 * sqrt(4 * tb.dimensions + 1) + 8
        assert max(_searches(tb)) <= promised, f"searches of {_searches(tb)} cycles, not at most {promised:.1f}"
    lengths = {end - begin + 1 for begin, end in zip(tb.begins, tb.ends, strict=True)}
    assert lengths == {words}, f"scans of {words} words took {lengths} cycles"
    gaps = {begin - end for end, begin in zip(tb.ends[1::2], tb.begins[2::2], strict=False)}
    assert gaps == {1}, f"the next query begins {gaps} cycles after the one before"


@cocotb.test()
async def latency(dut: Any) -> None:
    """Results are offered one a cycle, each as soon as the next one is known."""
    tb = await started(dut)
    words = min(12, tb.depth // tb.rows)
    tb.send([(([tb.top] + [None] * (tb.rows - 1)) * words, tb.keep)])
    await tb.finish()
    first = tb.begins[1]
    count = min(words, tb.keep)
    # A result comes with the next one, the last with the end of the scan.
    promised = [first + word + _LATENCY for word in range(count - 1)]
    assert tb.results.offered[:-1] == promised, f"results in cycles {tb.results.offered}, not {promised}"
    # A last word without a chosen row takes no cycle for one.
    assert tb.results.offered[-1] == tb.ends[1] + _LATENCY - (count < words)


@cocotb.test()
async def results_wait_for_the_sink(dut: Any) -> None:
    """A blocked sink stops the second scan, and everything comes once it is released."""
    tb = await started(dut)
    rows = [tb.top] * tb.depth
    cycles = 40 + 8 * tb.dimensions + 200
    tb.pace(always, blocked(cycles))
    tb.send([(rows, tb.keep)] * (3 + 60 // min(tb.keep, tb.depth)))
    await tb.steps(cycles)
    assert not tb.scores.ready, f"words are still accepted after {cycles} blocked cycles"
    await tb.finish()


@cocotb.test()
async def reset_clears_every_count(dut: Any) -> None:
    """Counts of any score are gone after a reset between the scans of a query, and no word is accepted before."""
    tb = await started(dut)
    for place in sorted({*range(min(8, 4 * tb.dimensions)), 4 * tb.dimensions - 1}):
        # The last word has other scores, so that its places are not the counted ones.
        counted = max(1, tb.depth - tb.rows)
        tb.scores.send(tb.words(([2 * place + 2 - tb.top] * counted + [-tb.top] * tb.rows)[: tb.depth]))
        while len(tb.ends) == 0:
            await tb.step()
        await tb.steps(4)
        await tb.restart()
        reset = tb.cycle
        tb.send([([-tb.top] * tb.depth, 1)])
        await tb.finish(settle=1)
        clearing = tb.begins[0] - reset
        assert clearing >= 4 * tb.dimensions, f"words are accepted {clearing} cycles after a reset, with counts left"
    await tb.finish()


@cocotb.test()
async def counts_do_not_add_up_over_resets(dut: Any) -> None:
    """Counts of the lowest place, which ends every search, would not be seen before they overflow."""
    tb = await started(dut)
    words = -(-tb.depth // tb.rows)
    # One row of a word takes part, so that all are counted in one lane; the last word has another place.
    lowest: list[int | None] = [2 - tb.top] + [None] * (tb.rows - 1)
    other: list[int | None] = [-tb.top] + [None] * (tb.rows - 1)
    for count in range(1, words):
        for resets in range(1, 2 + (1 << words.bit_length()) // max(1, words - 1)):
            for _ in range(resets):
                tb.scores.send(tb.words((lowest * (words - 1) + other)[: tb.depth]))
                while len(tb.ends) == 0:
                    await tb.step()
                await tb.steps(4)
                await tb.restart()
            tb.send([(lowest * count, 1)])
            await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def reset_in_mid_query(dut: Any) -> None:
    """After a reset nothing is left of counts, of a search, or of results that were due or on offer."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        score = 2 * tb.random.randrange(4 * tb.dimensions + 1) - tb.top
        tb.send([([score] * tb.depth, tb.keep), tb.random_query(), tb.random_query()])
        await tb.steps(4 * tb.dimensions + tb.random.randint(1, 4 * (tb.depth // tb.rows) + 60))
        await tb.restart()
        tb.send([tb.random_query(), ([-tb.top] * tb.depth, 1), tb.random_query()])
        await tb.finish(settle=1)
    await tb.finish()
