"""Bench of the pipeline: grid values in, nearest vectors out, against the golden models of its three operators."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt

from ninefold.sim.benches.fields import join, parameters, signed, split, words
from ninefold.sim.benches.streams import PATTERNS, Bench, always, blocked
from ninefold.sim.benches.topk import latency_of
from ninefold.sim.golden.quantise import grid, nits_of_grid
from ninefold.sim.golden.similarity import similarity
from ninefold.sim.golden.topk import topk
from ninefold.spec.formats import GRID_MAX, GRID_MIN, MODES, NIT_BITS, NIT_MAX, NIT_MIN, THRESHOLDS, Mode, score_bits

__all__ = ["PipelineBench"]

_GRID_BITS = 16

Vector = Sequence[int]


class PipelineBench(Bench):
    """The pipeline with a model that answers each query by the database that was loaded before it.

    A word of a query may be accepted before a load that precedes the query in the engine, since the quantiser holds
    words: a load is therefore sent only while no query is under way, and the other way round.
    """

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.mode: Mode = given["mode"]
        self.quantised_as: Mode = self.mode
        self.dimensions: int = given["dimensions"]
        self.lanes: int = given["lanes"]
        self.depth: int = given["depth"]
        self.k: int = given["k"]
        self.beats = self.dimensions // self.lanes
        #: Vectors of a small database: large stores are filled where the size is what is tested.
        self.rows = min(self.depth, max(self.k + 2, 64 // self.beats))
        self.widths = (score_bits(self.dimensions), max(1, (self.depth - 1).bit_length()), 1)
        self.threshold = self.source("threshold", lambda _: None)
        self.load = self.source("load", lambda _: None)
        self.values = self.source("values", self._accept)
        self.results = self.sink("results", self.describe)
        self.database = np.zeros((1, self.dimensions), np.int8)
        self._query: list[int] = []

    def describe(self, payload: int) -> dict[str, int]:
        """Return the fields of a payload by name."""
        score, identifier, last = split(payload, self.widths)
        return {"score": signed(score, self.widths[0]), "id": identifier, "last": last}

    def _accept(self, payload: int) -> None:
        *values, _ = split(payload, [_GRID_BITS] * self.lanes + [1])
        self._query.extend(signed(value, _GRID_BITS) for value in values)
        if len(self._query) == self.dimensions:
            nits = nits_of_grid(np.array([self._query]), self.quantised_as)
            ids, scores, count = topk(similarity(nits, self.database), self.k)
            final = int(count[0]) - 1
            best = zip(scores[0].tolist(), ids[0].tolist(), range(final + 1), strict=False)
            self.results.expected.extend(
                join(zip((score, i, place == final), self.widths, strict=True)) for score, i, place in best
            )
            self._query = []

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self._query = []
        self.quantised_as = self.mode

    async def loaded(self, database: npt.NDArray[np.int8]) -> None:
        """Load a database and wait until it is accepted."""
        self.database = database
        self.load.send(words(database.tolist(), self.lanes, NIT_BITS, [0] * (len(database) - 1) + [1]))
        while self.load.words:
            await self.step()

    async def quantise_as(self, mode: Mode) -> None:
        """Write the thresholds of a mode."""
        self.threshold.send(join([(n, 2), (t, 16)]) for n, t in enumerate(THRESHOLDS[mode].reached_at))
        while self.threshold.words:
            await self.step()
        self.quantised_as = mode

    def send(self, queries: Iterable[Vector]) -> None:
        """Queue queries of grid values."""
        for query in queries:
            self.values.send(words([query], self.lanes, _GRID_BITS, [self.random.getrandbits(1)]))

    def random_database(self, rows: int) -> npt.NDArray[np.int8]:
        """Return random vectors."""
        nits = [self.random.randint(NIT_MIN, NIT_MAX) for _ in range(rows * self.dimensions)]
        return np.array(nits, np.int8).reshape(rows, self.dimensions)

    def random_queries(self, count: int) -> list[Vector]:
        """Return random queries of grid values, half of them close to 0."""
        ends = [(GRID_MIN, GRID_MAX), (-8000, 8000)]
        return [
            [self.random.randint(low, high) for _ in range(self.dimensions)]
            for low, high in self.random.choices(ends, k=count)
        ]

    async def finish(self, settle: int = 0) -> None:
        """Run to the end, and long enough for any result too many to show."""
        await super().finish(settle or 4 * self.k + 60)


async def started(dut: Any) -> PipelineBench:
    """Return a bench with the device reset."""
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
    await bench.loaded(np.array(rows, np.int8))
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
        await bench.loaded(nits_of_grid(grid(vectors, scale), mode))
        noisy = vectors[random.permutation(shape[0])[:12]] + random.normal(size=(min(12, shape[0]), shape[1])) / 4
        bench.send(grid(noisy, scale).tolist())
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
async def reloads_and_thresholds(dut: Any) -> None:
    """Databases, modes and queries in random order and under random back-pressure."""
    bench = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(20):
        bench.pace(bench.random.choice(patterns), bench.random.choice(patterns))
        await bench.loaded(bench.random_database(bench.random.randint(1, bench.rows)))
        if bench.random.getrandbits(1):
            await bench.quantise_as(bench.random.choice(MODES))
        bench.send(bench.random_queries(bench.random.randint(1, 6)))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def queries_follow_without_a_bubble(dut: Any) -> None:
    """At saturation a query on N vectors takes N * beats cycles."""
    bench = await started(dut)
    for count in sorted({min(bench.k, bench.depth), bench.depth}):
        await bench.restart()
        await bench.loaded(bench.random_database(count))
        bench.send(bench.random_queries(8))
        await bench.finish()
        firsts = bench.results.offered[:: min(count, bench.k)]
        taken = [after - before for before, after in itertools.pairwise(firsts)]
        assert taken == [count * bench.beats] * 7, f"{taken} cycles a query, not {count * bench.beats}"


@cocotb.test()
async def latency(dut: Any) -> None:
    """From the last word of a query to its first result: the three cores and N * beats - 1 cycles."""
    bench = await started(dut)
    parts = [5, bench.beats + (bench.lanes - 1).bit_length() + 11, latency_of(bench.k)]
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
    """After a reset at any moment nothing is left, and the thresholds are those of the mode."""
    bench = await started(dut)
    for round_ in range(12):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        await bench.loaded(bench.random_database(bench.rows))
        if round_ % 2:
            await bench.quantise_as(bench.random.choice(MODES))
        bench.send(bench.random_queries(5))
        await bench.steps(bench.random.randint(1, 6 * bench.beats + bench.k + 40))
        await bench.restart()
        await bench.steps(bench.random.choice([0, 60]))
        await bench.loaded(bench.random_database(bench.random.randint(1, bench.rows)))
        bench.send(bench.random_queries(2))
        await bench.finish(settle=1)
    await bench.finish()
