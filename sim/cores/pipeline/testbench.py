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
from ninefold.sim.testbench.streams import PATTERNS, Bench, always, blocked
from ninefold.spec.formats import GRID_MAX, GRID_MIN, MODES, NIT_BITS, NIT_MAX, NIT_MIN, THRESHOLDS, Mode, score_bits

__all__ = ["PipelineBench"]

_GRID_BITS = 16

Vector = Sequence[int]


class PipelineBench(Bench):
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


async def started(dut: Any) -> PipelineBench:
    """Return a testbench with the device reset."""
    bench = PipelineBench(dut)
    await bench.restart()
    return bench


@cocotb.test()
async def directed(dut: Any) -> None:
    """Saturated queries on extreme vectors, with the results written by hand; ties go to the lower id."""
    bench = await started(dut)
    d = bench.dimensions
    rows = [[-4] * d, [0] * d, [4] * d, [0] * d, [4] * d][: bench.depth]
    by_hand = {GRID_MAX: [2, 4, 1, 3, 0], GRID_MIN: [0, 1, 3, 2, 4], 0: [0, 1, 2, 3, 4]}
    scores = [-16 * d, 0, 16 * d, 0, 16 * d]
    await bench.loaded(rows)
    for value, ids in by_hand.items():
        sign = (value > 0) - (value < 0)
        best = [(sign * scores[i], i) for i in ids if i < len(rows)][: bench.k]
        bench.send([[value] * d])
        while bench.values.words:
            await bench.step()
        due = [bench.describe(payload) for payload in bench.results.expected]
        final = len(best) - 1
        assert due == [{"score": s, "id": i, "last": int(n == final)} for n, (s, i) in enumerate(best)], "wrong model"
        await bench.finish()


@cocotb.test()
async def embeddings(dut: Any) -> None:
    """Vectors of unit length in clusters, as embeddings are, each searched with noise and scaled to the grid."""
    bench = await started(dut)
    random = np.random.default_rng(bench.random.getrandbits(32))
    shape = (bench.depth, bench.dimensions)
    vectors = (
        random.normal(size=shape) + 2 * random.normal(size=(3, bench.dimensions))[random.integers(3, size=shape[0])]
    )
    scale = float(np.float32(0.6 / vectors.std()))
    for mode in MODES:
        await bench.quantise_as(mode)
        await bench.loaded(nits_of_grid(grid(vectors, scale), mode).tolist())
        noisy = vectors[random.permutation(shape[0])[:12]] + random.normal(size=(min(12, shape[0]), shape[1])) / 4
        bench.send(grid(noisy, scale).tolist())
        await bench.finish()


@cocotb.test()
async def every_product(dut: Any) -> None:
    """Every nit of a vector, alone, with grid values on both sides of every threshold."""
    bench = await started(dut)
    reached = THRESHOLDS[bench.mode].reached_at
    values = [sign * (t - below) for t in (1, *reached) for below in (0, 1) for sign in (1, -1)]
    rows = range(NIT_MIN, NIT_MAX + 1)
    # All that are loaded at a time are among the results.
    at_once = min(bench.k, bench.depth)
    for position in sorted(bench.random.sample(range(bench.dimensions), min(bench.dimensions, 8))):
        for start in range(0, len(rows), at_once):
            nits = rows[start : start + at_once]
            await bench.loaded([[nit if at == position else 0 for at in range(bench.dimensions)] for nit in nits])
            queries = bench.random_queries(len(values))
            for query, value in zip(queries, values, strict=True):
                query[position] = value
            bench.send(queries)
            await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Databases of fewer and of more than k vectors under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    k, depth = bench.k, bench.rows
    sizes = itertools.cycle(n for n in sorted({1, max(1, k - 1), k, k + 1, depth}) if n <= depth)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        await bench.loaded(bench.random_database(next(sizes)))
        bench.send(bench.random_queries(bench.random.randint(1, 4)))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def thresholds_in_mid_query(dut: Any) -> None:
    """Thresholds of no mode, written while words are accepted: each word is quantised by its cycle's thresholds."""
    bench = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(16):
        await bench.loaded(bench.random_database(bench.random.randint(1, min(bench.k, bench.depth))))
        bench.pace(bench.random.choice(patterns), bench.random.choice(patterns))
        bench.threshold.pace(bench.random.choice(patterns))
        written = [*bench.reached_at]
        for _ in range(bench.random.randint(4, 16)):
            written.append(bench.random.choice([bench.random.getrandbits(16), bench.random.randrange(8192)]))
            bench.write((bench.random.randrange(4), written[-1]))
        bench.send(bench.near(written) for _ in range(20))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def loads_between_queries(dut: Any) -> None:
    """Loads, queries and thresholds, all waiting at once, under patterns that change: none overtakes another."""
    bench = await started(dut)
    patterns = list(PATTERNS.values())
    for round_ in range(60):
        bench.pace(bench.random.choice(patterns), bench.random.choice(patterns))
        bench.load.pace(bench.random.choice(patterns))
        if round_ == 0 or bench.random.getrandbits(1):
            bench.send_load(bench.random_database(bench.random.randint(1, bench.rows + 1)))
        if not bench.random.randrange(4):
            bench.write((bench.random.randrange(4), bench.random.randrange(8192)))
        bench.send(bench.random_queries(bench.random.randint(0, 3)))
        await bench.steps(bench.random.randint(1, 60 + bench.rows * bench.beats))
    await bench.finish()
    await bench.check_rate(bench.depth)


@cocotb.test()
async def a_load_waits_for_queries(dut: Any) -> None:
    """A load offered behind any word of queries is accepted once those that have begun are on their way, as a whole."""
    bench = await started(dut)
    await bench.loaded(bench.random_database(bench.rows))
    few = min(bench.beats, 3)
    for words_before in [*range(2 * few + 1), *range(3 * bench.beats - few, 3 * bench.beats + 1)]:
        for pause in (0, 1, 5, 9):
            before = len(bench.values.accepted)
            bench.send(bench.random_queries(3 + pause))
            while len(bench.values.accepted) < before + words_before:
                await bench.step()
            await bench.steps(pause)
            bench.send_load(bench.random_database(bench.random.randint(1, bench.rows)))
            await bench.finish(settle=1)
            first = bench.values.accepted[before : before + bench.beats]
            assert first[-1] - first[0] == bench.beats - 1, f"the words of a query are accepted in cycles {first}"
    await bench.finish()


@cocotb.test()
async def queries_wait_for_the_first_load(dut: Any) -> None:
    """Queries that come before the first load, or in its midst, are answered by its vectors."""
    bench = await started(dut)
    for pattern in ("always", "one tenth"):
        bench.send(bench.random_queries(12))
        await bench.steps(60)
        assert not bench.results.offered, "a result although nothing was loaded"
        bench.load.pace(PATTERNS[pattern])
        bench.send_load(bench.random_database(bench.rows))
        await bench.finish()
        await bench.restart()


@cocotb.test()
async def words_past_the_store_have_no_effect(dut: Any) -> None:
    """A load of more vectors than fit keeps the first `depth` of them, and the next load is whole again."""
    bench = await started(dut)
    for rows in (bench.depth + 1, max(1, bench.depth - 1), 2 * bench.depth + 1, bench.depth, bench.depth + 2, 1):
        await bench.loaded(bench.random_database(rows))
        bench.send(bench.random_queries(3))
        await bench.finish()


@cocotb.test()
async def queries_follow_without_a_bubble(dut: Any) -> None:
    """At saturation a query on N vectors takes N * beats cycles."""
    bench = await started(dut)
    for count in sorted({1, min(bench.k, bench.depth), bench.depth}):
        await bench.restart()
        await bench.check_rate(count)


@cocotb.test()
async def latency(dut: Any) -> None:
    """From the last word of a query to its first result: the three cores and N * beats - 1 cycles."""
    bench = await started(dut)
    parts = [5, latency_of_scores(bench.beats, bench.lanes), latency_of_results(bench.k)]
    for count in sorted({1, bench.depth}):
        await bench.restart()
        await bench.loaded(bench.random_database(count))
        bench.send(bench.random_queries(1))
        await bench.finish()
        promised = sum(parts) + (count - 1) * bench.beats
        taken = bench.results.offered[0] - bench.values.accepted[-1]
        assert taken == promised, f"{taken} cycles, not {promised}"


@cocotb.test()
async def a_blocked_sink_loses_nothing(dut: Any) -> None:
    """Results blocked for long stop the queries in the end; released, all come."""
    bench = await started(dut)
    await bench.loaded(bench.random_database(bench.rows))
    blocked_for = 20 * (bench.k + 10) + 8 * bench.rows * bench.beats
    bench.pace(always, blocked(blocked_for))
    bench.send(bench.random_queries(30))
    await bench.steps(blocked_for)
    assert not bench.values.ready, f"queries are still accepted after {blocked_for} blocked cycles"
    await bench.finish()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset in a load, a query or its results nothing is left, and the thresholds are the mode's."""
    bench = await started(dut)
    for round_ in range(24):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        bench.send_load(bench.random_database(bench.rows))
        if round_ % 2:
            await bench.quantise_as(bench.random.choice(MODES))
        bench.send(bench.random_queries(5))
        if round_ % 3:
            while bench.load.words:
                await bench.step()
        await bench.steps(bench.random.randint(1, 6 * bench.beats + bench.k + 40))
        await bench.restart()
        bench.send(bench.random_queries(2))
        await bench.steps(bench.random.choice([0, 60]))
        assert not bench.results.offered, "a result although nothing was loaded since the reset"
        bench.send_load(bench.random_database(bench.random.randint(1, bench.rows)))
        await bench.finish(settle=1)
    await bench.finish()
    await bench.check_rate(bench.depth)
