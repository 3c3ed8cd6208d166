"""Testbench of the similarity engine: scores, loads between queries, throughput and latency."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.golden.similarity import similarity
from ninefold.sim.testbench.fields import join, parameters, signed, split, words
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked
from ninefold.spec.formats import NIT_BITS, NIT_MAX, NIT_MIN, score_bits

__all__ = ["SimilarityTestbench", "latency_of"]

Vector = Sequence[int]


def latency_of(beats: int, lanes: int) -> int:
    """Return the latency that the engine promises, in cycles."""
    return beats + (lanes - 1).bit_length() + (13 if lanes > 256 else 11)


class SimilarityTestbench(Testbench):
    """The engine with a model that follows the words in the order in which the device accepts them."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.lanes: int = given["lanes"]
        self.depth: int = given["depth"]
        self.beats = self.dimensions // self.lanes
        #: Vectors of a small database: large stores are filled where the size is what is tested.
        self.rows = min(self.depth, max(3, 64 // self.beats))
        self.widths = (score_bits(self.dimensions), max(1, (self.depth - 1).bit_length()), 1)
        self.load = self.source("load", self._accept_load)
        self.query = self.source("query", self._accept_query)
        self.scores = self.sink("scores", self.describe)
        self.forget()

    def describe(self, payload: int) -> dict[str, int]:
        """Return the fields of a payload by name."""
        score, identifier, last = split(payload, self.widths)
        return {"score": signed(score, self.widths[0]), "id": identifier, "last": last}

    def forget(self) -> None:
        """Set the model as a reset sets the device."""
        self.ends: list[int] = []
        self._database: list[list[int]] = []
        self._entering: list[int] = []
        self._loading = True
        self._query: list[int] = []

    def _nits(self, payload: int) -> tuple[list[int], int]:
        *nits, last = split(payload, [NIT_BITS] * self.lanes + [1])
        return [signed(nit, NIT_BITS) for nit in nits], last

    def _accept_load(self, payload: int) -> None:
        nits, last = self._nits(payload)
        # Every score of the queries before must at least be on its way; the next scores are for the new vectors.
        assert not self._query, "a load begins between the words of a query"
        self._loading = True
        self._entering.extend(nits)
        if last:
            vectors = [
                self._entering[start : start + self.dimensions]
                for start in range(0, len(self._entering), self.dimensions)
            ]
            self._database, self._entering, self._loading = vectors[: self.depth], [], False

    def _accept_query(self, payload: int) -> None:
        assert not self._loading, "a query is accepted before a load has ended"
        self._query.extend(self._nits(payload)[0])
        if len(self._query) == self.dimensions:
            self.ends.append(self.cycle)
            scores = similarity(np.array([self._query]), np.array(self._database))[0].tolist()
            final = len(scores) - 1
            self.scores.expected.extend(
                join(zip((score, n, n == final), self.widths, strict=True)) for n, score in enumerate(scores)
            )
            self._query = []

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self.forget()

    def send_load(self, vectors: Sequence[Vector]) -> None:
        """Queue a database."""
        lasts = [0] * (len(vectors) - 1) + [1]
        self.load.send(words(vectors, self.lanes, NIT_BITS, lasts))

    def send_queries(self, queries: Sequence[Vector]) -> None:
        """Queue queries, with a random last: the engine counts."""
        for query in queries:
            self.query.send(words([query], self.lanes, NIT_BITS, [self.random.getrandbits(1)]))

    def random_vector(self) -> Vector:
        """Return a vector of nits."""
        return [self.random.randint(NIT_MIN, NIT_MAX) for _ in range(self.dimensions)]

    def random_vectors(self, count: int) -> list[Vector]:
        """Return several."""
        return [self.random_vector() for _ in range(count)]

    async def loaded(self, vectors: Sequence[Vector]) -> None:
        """Load a database and wait until it is accepted."""
        self.send_load(vectors)
        while self.load.words:
            await self.step()


async def started(dut: Any) -> SimilarityTestbench:
    """Return a testbench with the device reset."""
    tb = SimilarityTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Extremes, zeros and one-hot vectors, with the scores written by hand."""
    tb = await started(dut)
    d = tb.dimensions
    hot = [0] * (d - 1) + [3]
    database = [[4] * d, [-4] * d, [0] * d, hot, [1] * d][: tb.depth]
    by_hand = {4: [16 * d, -16 * d, 0, 12, 4 * d], -4: [-16 * d, 16 * d, 0, -12, -4 * d], 0: [0] * 5}
    await tb.loaded(database)
    for value, scores in by_hand.items():
        tb.send_queries([[value] * d])
        while tb.query.words:
            await tb.step()
        due = [tb.describe(payload) for payload in tb.scores.expected]
        n = len(database)
        rows = zip(range(n), scores, strict=False)
        assert due[-n:] == [{"score": s, "id": i, "last": int(i == n - 1)} for i, s in rows], "the model is wrong"
        await tb.finish()


@cocotb.test()
async def every_product(dut: Any) -> None:
    """Every product of two nits at every position, alone in its score."""
    tb = await started(dut)
    nits = range(NIT_MIN, NIT_MAX + 1)
    for position in range(tb.dimensions):
        rows = [[nit if at == position else 0 for at in range(tb.dimensions)] for nit in nits]
        for start in range(0, len(rows), tb.rows):
            tb.send_load(rows[start : start + tb.rows])
            while tb.load.words:
                await tb.step()
            for nit in nits:
                query = list(tb.random_vector())
                query[position] = nit
                tb.send_queries([query])
            while tb.query.words:
                await tb.step()
    await tb.finish()


@cocotb.test()
async def extremes(dut: Any) -> None:
    """Vectors of only the largest magnitudes: partial sums of every size, up to 16 a dimension."""
    tb = await started(dut)
    for _ in range(6):
        values = tb.random.choice([(4,), (-4,), (4, -4), (4, 4, 4, -4), (4, 3), (-4, 2, -1)])
        rows = [[tb.random.choice(values) for _ in range(tb.dimensions)] for _ in range(2 * tb.rows)]
        await tb.loaded(rows[: tb.rows])
        tb.send_queries([[4] * tb.dimensions, [-4] * tb.dimensions, *rows[tb.rows :][:4]])
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Databases of several sizes under each pattern of the sources crossed with each of the sink."""
    tb = await started(dut)
    sizes = itertools.cycle(sorted({1, tb.rows // 2 or 1, tb.rows - 1 or 1, tb.rows}))
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        await tb.loaded(tb.random_vectors(next(sizes)))
        tb.send_queries(tb.random_vectors(tb.random.randint(1, 3)))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def loads_between_queries(dut: Any) -> None:
    """Databases of changing sizes and queries, both always waiting: each query is scored on one whole database."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for round_ in range(30):
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        tb.load.pace(tb.random.choice(patterns))
        if round_ == 0 or tb.random.getrandbits(1):
            tb.send_load(tb.random_vectors(tb.random.randint(1, tb.rows)))
        tb.send_queries(tb.random_vectors(tb.random.randint(0, 3)))
        await tb.steps(tb.random.randint(1, 150))
    await tb.finish()


@cocotb.test()
async def a_load_waits_for_queries(dut: Any) -> None:
    """A load offered while queries are scored, or between the words of one, is accepted once these are scored."""
    tb = await started(dut)
    await tb.loaded(tb.random_vectors(tb.rows))
    for words_before in range(2 * tb.beats + 1):
        before = len(tb.query.accepted)
        tb.send_queries(tb.random_vectors(3))
        while len(tb.query.accepted) < before + words_before:
            await tb.step()
        tb.send_load(tb.random_vectors(tb.random.randint(1, tb.rows)))
        await tb.finish()


@cocotb.test()
async def queries_wait_for_the_first_load(dut: Any) -> None:
    """No query is accepted after reset until the first load has ended, nor in the midst of a later one."""
    tb = await started(dut)
    tb.send_queries(tb.random_vectors(2))
    await tb.steps(60)
    assert not tb.query.accepted, "a query is accepted although nothing was loaded"
    tb.load.pace(PATTERNS["one tenth"])
    tb.send_load(tb.random_vectors(tb.rows))
    await tb.finish()


@cocotb.test()
async def words_past_the_store_have_no_effect(dut: Any) -> None:
    """A load of more vectors than fit keeps the first `depth` of them, and the next load is whole again."""
    tb = await started(dut)
    for extra in (1, 2, tb.depth):
        await tb.loaded(tb.random_vectors(tb.depth + extra))
        tb.send_queries(tb.random_vectors(2))
        await tb.finish()
        await tb.loaded(tb.random_vectors(max(1, tb.depth - 1)))
        tb.send_queries(tb.random_vectors(2))
        await tb.finish()


@cocotb.test()
async def no_bubbles(dut: Any) -> None:
    """One word is loaded a cycle; Q queries on N vectors are scored in Q * N * beats cycles."""
    tb = await started(dut)
    for count in sorted({1, min(2, tb.depth), tb.depth}):
        await tb.restart()
        await tb.loaded(tb.random_vectors(count))
        assert tb.load.bubbles == 0, f"{tb.load.bubbles} bubbles at the load"
        tb.send_queries(tb.random_vectors(8))
        await tb.finish()
        offered = [cycle - tb.scores.offered[0] for cycle in tb.scores.offered]
        promised = [n * tb.beats for n in range(8 * count)]
        assert offered == promised, f"scores of {count} vectors in cycles {offered}, not {promised}"


@cocotb.test()
async def latency(dut: Any) -> None:
    """The first score of a lone query is offered as long after its last word as `latency_of` says."""
    tb = await started(dut)
    await tb.loaded(tb.random_vectors(tb.rows))
    promised = latency_of(tb.beats, tb.lanes)
    for _ in range(3):
        place = len(tb.scores.offered)
        tb.send_queries(tb.random_vectors(1))
        await tb.finish()
        taken = tb.scores.offered[place] - tb.ends[-1]
        assert taken == promised, f"{taken} cycles, not {promised}"


@cocotb.test()
async def the_next_query_enters_during_scoring(dut: Any) -> None:
    """With the sink blocked two queries are held, no third, and nothing is lost."""
    tb = await started(dut)
    await tb.loaded(tb.random_vectors(tb.rows))
    tb.pace(always, blocked(300))
    tb.send_queries(tb.random_vectors(40))
    await tb.steps(300)
    assert len(tb.ends) >= 2, "the next query is not accepted while one is scored"
    assert not tb.query.ready, "queries are still accepted after 300 blocked cycles"
    await tb.finish()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset in a load, a query or its scoring, nothing is left and the first load starts at vector 0."""
    tb = await started(dut)
    for round_ in range(16):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send_load(tb.random_vectors(tb.rows))
        if round_ % 3:
            while tb.load.words:
                await tb.step()
            tb.send_queries(tb.random_vectors(5))
        await tb.steps(tb.random.randint(1, 3 * tb.beats + 12))
        await tb.restart()
        tb.send_queries(tb.random_vectors(2))
        await tb.steps(tb.random.choice([0, 0, 40]))
        assert not tb.query.accepted, "a query is accepted although nothing was loaded since the reset"
        tb.send_load(tb.random_vectors(tb.random.randint(1, tb.rows)))
        await tb.finish(settle=1)
    await tb.finish()
