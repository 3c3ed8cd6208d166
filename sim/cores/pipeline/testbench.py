"""Testbench of the pipeline: grid values in, nearest vectors out, against the golden models of its three operators."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.cores.similarity.testbench import latency_of as latency_of_scores
from ninefold.sim.cores.topk.testbench import latency_of as latency_of_results
from ninefold.sim.golden.quantise import grid, nits_of_grid
from ninefold.sim.golden.similarity import similarity
from ninefold.sim.golden.topk import topk
from ninefold.sim.testbench.fields import join, parameters, signed, split, words
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked
from ninefold.spec.formats import GRID_MAX, GRID_MIN, MODES, NIT_BITS, NIT_MAX, NIT_MIN, THRESHOLDS, Mode, score_bits

__all__ = ["PipelineTestbench"]

_GRID_BITS = 16

Vector = Sequence[int]


class PipelineTestbench(Testbench):
    """The pipeline with a model that follows thresholds, loads and queries in the order in which they are accepted.

    A query that begins in the cycle in which a load is offered, or before, is answered by the vectors of the load
    before; a later query, by the vectors of that load.
    """

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.mode: Mode = given["mode"]
        self.dimensions: int = given["dimensions"]
        self.lanes: int = given["lanes"]
        self.depth: int = given["depth"]
        self.k: int = given["k"]
        self.beats = self.dimensions // self.lanes
        #: Vectors of a small database: large stores are filled where the size is what is tested.
        self.rows = min(self.depth, max(self.k + 2, 64 // self.beats))
        self.widths = (score_bits(self.dimensions), max(1, (self.depth - 1).bit_length()), 1)
        # In this order: a threshold holds for a word that is accepted in the same cycle, and a load that has begun for
        # a query that begins in the same cycle.
        self.threshold = self.source("threshold", self._write)
        self.load = self.source("load", self._accept_load)
        self.values = self.source("values", self._accept)
        self.results = self.sink("results", self.describe)
        self.forget()

    def describe(self, payload: int) -> dict[str, int]:
        """Return the fields of a payload by name."""
        score, identifier, last = split(payload, self.widths)
        return {"score": signed(score, self.widths[0]), "id": identifier, "last": last}

    def forget(self) -> None:
        """Set the model as a reset sets the device."""
        self.reached_at = list(THRESHOLDS[self.mode].reached_at)
        self._database = np.zeros((0, self.dimensions), np.int8)
        self._entering: list[int] = []
        self._loading = True
        self._waits = False
        self._loads = self._due = 0
        self._query: list[int] = []
        self._held: list[list[int]] = []

    def _write(self, payload: int) -> None:
        index, value = split(payload, [2, 16])
        self.reached_at[index] = value

    def _accept_load(self, payload: int) -> None:
        assert not self._query or self._due > self._loads, "a load begins between the words of a query before it"
        self._loading = True
        *nits, last = split(payload, [NIT_BITS] * self.lanes + [1])
        self._entering.extend(signed(nit, NIT_BITS) for nit in nits)
        if last:
            self._database = np.array(self._entering, np.int8).reshape(-1, self.dimensions)[: self.depth]
            self._entering, self._loading = [], False
            self._loads += 1
            for query in self._held:
                self._answer(query)
            self._held = []

    def _accept(self, payload: int) -> None:
        if not self._query:
            self._due = self._loads + (self._loading or self._waits)
        *values, _ = split(payload, [_GRID_BITS] * self.lanes + [1])
        self._query.extend(self._nit(signed(value, _GRID_BITS)) for value in values)
        if len(self._query) == self.dimensions:
            if self._due > self._loads:
                self._held.append(self._query)
            else:
                self._answer(self._query)
            self._query = []

    def _nit(self, value: int) -> int:
        reached = sum(abs(value) >= threshold for threshold in self.reached_at)
        return -reached if value < 0 else reached

    def _answer(self, query: list[int]) -> None:
        ids, scores, count = topk(similarity(np.array([query]), self._database), self.k)
        final = int(count[0]) - 1
        best = zip(scores[0].tolist(), ids[0].tolist(), range(final + 1), strict=False)
        self.results.expected.extend(
            join(zip((score, i, place == final), self.widths, strict=True)) for score, i, place in best
        )

    async def step(self) -> bool:
        """Simulate one cycle, and see whether a load waits behind it."""
        moved = await super().step()
        self._waits = self.load.offers
        return moved

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self.forget()

    def send_load(self, vectors: Sequence[Vector]) -> None:
        """Queue a database."""
        self.load.send(words(vectors, self.lanes, NIT_BITS, [0] * (len(vectors) - 1) + [1]))

    async def loaded(self, vectors: Sequence[Vector]) -> None:
        """Load a database and wait until it is accepted."""
        self.send_load(vectors)
        while self.load.words:
            await self.step()

    def write(self, *thresholds: tuple[int, int]) -> None:
        """Queue writes of thresholds, each (index, value)."""
        self.threshold.send(join([(index, 2), (value, 16)]) for index, value in thresholds)

    async def quantise_as(self, mode: Mode) -> None:
        """Write the thresholds of a mode."""
        self.write(*enumerate(THRESHOLDS[mode].reached_at))
        while self.threshold.words:
            await self.step()

    def send(self, queries: Iterable[Vector]) -> None:
        """Queue queries of grid values."""
        for query in queries:
            self.values.send(words([query], self.lanes, _GRID_BITS, [self.random.getrandbits(1)]))

    def random_database(self, rows: int) -> list[Vector]:
        """Return random vectors."""
        return [[self.random.randint(NIT_MIN, NIT_MAX) for _ in range(self.dimensions)] for _ in range(rows)]

    def random_queries(self, count: int) -> list[list[int]]:
        """Return random queries of grid values, half of them close to 0."""
        ends = [(GRID_MIN, GRID_MAX), (-8000, 8000)]
        return [
            [self.random.randint(low, high) for _ in range(self.dimensions)]
            for low, high in self.random.choices(ends, k=count)
        ]

    def near(self, thresholds: Sequence[int]) -> list[int]:
        """Return a query whose grid values are at thresholds, or one off."""
        values = [self.random.choice((-1, 1)) * (t + self.random.randint(-1, 1)) for t in thresholds]
        return [max(GRID_MIN, min(GRID_MAX, self.random.choice(values))) for _ in range(self.dimensions)]

    async def check_rate(self, rows: int, queries: int = 8) -> None:
        """Load vectors, and check that queries on them follow without a bubble."""
        self.pace(always, always)
        await self.loaded(self.random_database(rows))
        place = len(self.results.offered)
        self.send(self.random_queries(queries))
        await self.finish()
        firsts = self.results.offered[place :: min(rows, self.k)]
        taken = [after - before for before, after in itertools.pairwise(firsts)]
        assert taken == [rows * self.beats] * (queries - 1), f"{taken} cycles a query, not {rows * self.beats}"

    async def finish(self, settle: int = 0) -> None:
        """Run to completion, and long enough for surplus results to show."""
        await super().finish(settle or 4 * self.k + 60)


async def started(dut: Any) -> PipelineTestbench:
    """Return a testbench with the device reset."""
    tb = PipelineTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Saturated queries on extreme vectors, with the results written by hand; ties go to the lower id."""
    tb = await started(dut)
    d = tb.dimensions
    rows = [[-4] * d, [0] * d, [4] * d, [0] * d, [4] * d][: tb.depth]
    by_hand = {GRID_MAX: [2, 4, 1, 3, 0], GRID_MIN: [0, 1, 3, 2, 4], 0: [0, 1, 2, 3, 4]}
    scores = [-16 * d, 0, 16 * d, 0, 16 * d]
    await tb.loaded(rows)
    for value, ids in by_hand.items():
        sign = (value > 0) - (value < 0)
        best = [(sign * scores[i], i) for i in ids if i < len(rows)][: tb.k]
        tb.send([[value] * d])
        while tb.values.words:
            await tb.step()
        due = [tb.describe(payload) for payload in tb.results.expected]
        final = len(best) - 1
        assert due == [{"score": s, "id": i, "last": int(n == final)} for n, (s, i) in enumerate(best)], "wrong model"
        await tb.finish()


@cocotb.test()
async def embeddings(dut: Any) -> None:
    """Vectors of unit length in clusters, as embeddings are, each searched with noise and scaled to the grid."""
    tb = await started(dut)
    random = np.random.default_rng(tb.random.getrandbits(32))
    shape = (tb.depth, tb.dimensions)
    vectors = random.normal(size=shape) + 2 * random.normal(size=(3, tb.dimensions))[random.integers(3, size=shape[0])]
    scale = float(np.float32(0.6 / vectors.std()))
    for mode in MODES:
        await tb.quantise_as(mode)
        await tb.loaded(nits_of_grid(grid(vectors, scale), mode).tolist())
        noisy = vectors[random.permutation(shape[0])[:12]] + random.normal(size=(min(12, shape[0]), shape[1])) / 4
        tb.send(grid(noisy, scale).tolist())
        await tb.finish()


@cocotb.test()
async def every_product(dut: Any) -> None:
    """Every nit of a vector, alone, with grid values on both sides of every threshold."""
    tb = await started(dut)
    reached = THRESHOLDS[tb.mode].reached_at
    values = [sign * (t - below) for t in (1, *reached) for below in (0, 1) for sign in (1, -1)]
    rows = range(NIT_MIN, NIT_MAX + 1)
    # All that are loaded at a time are among the results.
    at_once = min(tb.k, tb.depth)
    for position in sorted(tb.random.sample(range(tb.dimensions), min(tb.dimensions, 8))):
        for start in range(0, len(rows), at_once):
            nits = rows[start : start + at_once]
            await tb.loaded([[nit if at == position else 0 for at in range(tb.dimensions)] for nit in nits])
            queries = tb.random_queries(len(values))
            for query, value in zip(queries, values, strict=True):
                query[position] = value
            tb.send(queries)
            await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Databases of fewer and of more than k vectors under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    k, depth = tb.k, tb.rows
    sizes = itertools.cycle(n for n in sorted({1, max(1, k - 1), k, k + 1, depth}) if n <= depth)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        await tb.loaded(tb.random_database(next(sizes)))
        tb.send(tb.random_queries(tb.random.randint(1, 4)))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def thresholds_in_mid_query(dut: Any) -> None:
    """Thresholds of no mode, written while words are accepted: each word is quantised by its cycle's thresholds."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(16):
        await tb.loaded(tb.random_database(tb.random.randint(1, min(tb.k, tb.depth))))
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        tb.threshold.pace(tb.random.choice(patterns))
        written = [*tb.reached_at]
        for _ in range(tb.random.randint(4, 16)):
            written.append(tb.random.choice([tb.random.getrandbits(16), tb.random.randrange(8192)]))
            tb.write((tb.random.randrange(4), written[-1]))
        tb.send(tb.near(written) for _ in range(20))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def loads_between_queries(dut: Any) -> None:
    """Loads, queries and thresholds, all waiting at once, under patterns that change: none overtakes another."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for round_ in range(60):
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        tb.load.pace(tb.random.choice(patterns))
        if round_ == 0 or tb.random.getrandbits(1):
            tb.send_load(tb.random_database(tb.random.randint(1, tb.rows + 1)))
        if not tb.random.randrange(4):
            tb.write((tb.random.randrange(4), tb.random.randrange(8192)))
        tb.send(tb.random_queries(tb.random.randint(0, 3)))
        await tb.steps(tb.random.randint(1, 60 + tb.rows * tb.beats))
    await tb.finish()
    await tb.check_rate(tb.depth)


@cocotb.test()
async def a_load_waits_for_queries(dut: Any) -> None:
    """A load offered behind any word of queries is accepted once those that have begun are on their way, as a whole."""
    tb = await started(dut)
    await tb.loaded(tb.random_database(tb.rows))
    few = min(tb.beats, 3)
    for words_before in [*range(2 * few + 1), *range(3 * tb.beats - few, 3 * tb.beats + 1)]:
        for pause in (0, 1, 5, 9):
            before = len(tb.values.accepted)
            tb.send(tb.random_queries(3 + pause))
            while len(tb.values.accepted) < before + words_before:
                await tb.step()
            await tb.steps(pause)
            tb.send_load(tb.random_database(tb.random.randint(1, tb.rows)))
            await tb.finish(settle=1)
            first = tb.values.accepted[before : before + tb.beats]
            assert first[-1] - first[0] == tb.beats - 1, f"the words of a query are accepted in cycles {first}"
    await tb.finish()


@cocotb.test()
async def queries_wait_for_the_first_load(dut: Any) -> None:
    """Queries that come before the first load, or in its midst, are answered by its vectors."""
    tb = await started(dut)
    for pattern in ("always", "one tenth"):
        tb.send(tb.random_queries(12))
        await tb.steps(60)
        assert not tb.results.offered, "a result although nothing was loaded"
        tb.load.pace(PATTERNS[pattern])
        tb.send_load(tb.random_database(tb.rows))
        await tb.finish()
        await tb.restart()


@cocotb.test()
async def words_past_the_store_have_no_effect(dut: Any) -> None:
    """A load of more vectors than fit keeps the first `depth` of them, and the next load is whole again."""
    tb = await started(dut)
    for rows in (tb.depth + 1, max(1, tb.depth - 1), 2 * tb.depth + 1, tb.depth, tb.depth + 2, 1):
        await tb.loaded(tb.random_database(rows))
        tb.send(tb.random_queries(3))
        await tb.finish()


@cocotb.test()
async def queries_follow_without_a_bubble(dut: Any) -> None:
    """At saturation a query on N vectors takes N * beats cycles."""
    tb = await started(dut)
    for count in sorted({1, min(tb.k, tb.depth), tb.depth}):
        await tb.restart()
        await tb.check_rate(count)


@cocotb.test()
async def latency(dut: Any) -> None:
    """From the last word of a query to its first result: the three cores and N * beats - 1 cycles."""
    tb = await started(dut)
    parts = [5, latency_of_scores(tb.beats, tb.lanes), latency_of_results(tb.k)]
    for count in sorted({1, tb.depth}):
        await tb.restart()
        await tb.loaded(tb.random_database(count))
        tb.send(tb.random_queries(1))
        await tb.finish()
        promised = sum(parts) + (count - 1) * tb.beats
        taken = tb.results.offered[0] - tb.values.accepted[-1]
        assert taken == promised, f"{taken} cycles, not {promised}"


@cocotb.test()
async def a_blocked_sink_loses_nothing(dut: Any) -> None:
    """Results blocked for long stop the queries in the end; released, all come."""
    tb = await started(dut)
    await tb.loaded(tb.random_database(tb.rows))
    blocked_for = 20 * (tb.k + 10) + 8 * tb.rows * tb.beats
    tb.pace(always, blocked(blocked_for))
    tb.send(tb.random_queries(30))
    await tb.steps(blocked_for)
    assert not tb.values.ready, f"queries are still accepted after {blocked_for} blocked cycles"
    await tb.finish()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset in a load, a query or its results nothing is left, and the thresholds are the mode's."""
    tb = await started(dut)
    for round_ in range(24):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send_load(tb.random_database(tb.rows))
        if round_ % 2:
            await tb.quantise_as(tb.random.choice(MODES))
        tb.send(tb.random_queries(5))
        if round_ % 3:
            while tb.load.words:
                await tb.step()
        await tb.steps(tb.random.randint(1, 6 * tb.beats + tb.k + 40))
        await tb.restart()
        tb.send(tb.random_queries(2))
        await tb.steps(tb.random.choice([0, 60]))
        assert not tb.results.offered, "a result although nothing was loaded since the reset"
        tb.send_load(tb.random_database(tb.random.randint(1, tb.rows)))
        await tb.finish(settle=1)
    await tb.finish()
    await tb.check_rate(tb.depth)
