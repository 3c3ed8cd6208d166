"""Testbench of the sign engine: coarse scores, loads between queries, throughput and latency."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.golden.mine import coarse_score
from ninefold.sim.testbench.fields import join, parameters, signed, split, words
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked
from ninefold.spec.formats import NIT_BITS, NIT_MAX, NIT_MIN, coarse_bits

__all__ = ["SignEngineTestbench"]

Vector = Sequence[int]

#: Cycles in which the tables of a beat are filled.
_FILL = 16


class SignEngineTestbench(Testbench):
    """The engine with a model that follows the words in the order in which the device accepts them."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.lanes: int = given["lanes"]
        self.depth: int = given["depth"]
        self.width: int = given["width"]
        self.passes: int = given.get("passes", 1)
        self.beats = max(1, self.dimensions // self.lanes)
        #: Rows scored per cycle, and words of a query.
        self.together = max(1, self.lanes // self.dimensions)
        self.words = self.dimensions // self.width
        #: Rows of a small database: large stores are filled where the size is what is tested.
        self.rows = min(self.depth, max(3, 64 // self.beats))
        self._score_bits = coarse_bits(self.dimensions)
        count = -(-self.depth // self.together)
        self._widths = (self._score_bits * self.together, self.together, max(1, (count - 1).bit_length()), 1)
        self.load = self.source("load", self._accept_load)
        self.query = self.source("query", self._accept_query)
        self.scores = self.sink("scores", self.describe)
        self.forget()

    def latency(self, registered: bool) -> int:
        """Return the latency that the engine promises, in cycles."""
        span = min(self.dimensions, self.lanes)
        groups = max(-(-self.lanes // 128), span // 64)
        pins = (4 + (2 if groups > 8 else 0)) if registered else 1
        tree = (span // 4 - 1).bit_length()
        cycles: int = self.beats * (_FILL + 1) + pins + tree + 5 + (2 if self.beats > 1 else 0)
        return cycles

    def describe(self, payload: int) -> dict[str, Any]:
        """Return the fields of a payload by name, with the score of each valid row."""
        scores, valid, word, last = split(payload, self._widths)
        values = split(scores, [self._score_bits] * self.together)
        valued = [signed(v, self._score_bits) if valid >> i & 1 else None for i, v in enumerate(values)]
        return {"scores": valued, "word": word, "last": last}

    def forget(self) -> None:
        """Set the model as a reset sets the device."""
        self.ends: list[int] = []
        self._database: list[list[int]] = []
        self._entering: list[int] = []
        self._loading = True
        self._query: list[int] = []

    def _nits(self, payload: int) -> list[int]:
        return [signed(nit, NIT_BITS) for nit in split(payload, [NIT_BITS] * self.width)]

    def _accept_load(self, payload: int) -> None:
        # Every score of the queries before must at least be on its way; the next scores are for the new rows.
        assert not self._query, "a load begins between the words of a query"
        self._loading = True
        self._entering.extend(self._nits(payload))
        if payload >> (NIT_BITS * self.width):
            starts = range(0, len(self._entering), self.dimensions)
            rows = [self._entering[start : start + self.dimensions] for start in starts]
            self._database, self._entering, self._loading = rows[: self.depth], [], False

    def _accept_query(self, payload: int) -> None:
        assert not self._loading, "a query is accepted before a load has ended"
        self._query.extend(self._nits(payload))
        if len(self._query) == self.dimensions:
            self.ends.append(self.cycle)
            self.scores.expected.extend(self.scored(self._query, self._database))
            self._query = []

    def scored(self, query: Vector, database: Sequence[Vector]) -> list[int]:
        """Return the words of scores of a query."""
        wide = np.array(query, np.int8)
        scores = [coarse_score(wide, np.array(row, np.int8)) for row in database]
        parts = [scores[start : start + self.together] for start in range(0, len(scores), self.together)]
        return [
            join(
                zip(
                    (join((s, self._score_bits) for s in part), (1 << len(part)) - 1, n, n == len(parts) - 1),
                    self._widths,
                    strict=True,
                )
            )
            for n, part in enumerate(parts)
        ] * self.passes

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self.forget()

    def send_load(self, rows: Sequence[Vector]) -> None:
        """Queue a database."""
        lasts = [0] * (len(rows) - 1) + [1]
        self.load.send(words(rows, self.width, NIT_BITS, lasts))

    def send_queries(self, queries: Sequence[Vector]) -> None:
        """Queue queries, with a random last: the engine counts."""
        for query in queries:
            self.query.send(words([query], self.width, NIT_BITS, [self.random.getrandbits(1)]))

    def random_vector(self) -> Vector:
        """Return a vector of nits, often with large ones."""
        least = self.random.choice([NIT_MIN, 1, NIT_MAX])
        return [self.random.choice([-1, 1]) * self.random.randint(least, NIT_MAX) for _ in range(self.dimensions)]

    def random_vectors(self, count: int) -> list[Vector]:
        """Return several."""
        return [self.random_vector() for _ in range(count)]

    async def loaded(self, rows: Sequence[Vector]) -> None:
        """Load a database and wait until it is accepted."""
        self.send_load(rows)
        while self.load.words:
            await self.step()


async def started(dut: Any) -> SignEngineTestbench:
    """Return a testbench with the device reset."""
    tb = SignEngineTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Extremes, zeros and a negative nit alone, with the scores written by hand."""
    tb = await started(dut)
    d = tb.dimensions
    database = [[4] * d, [-4] * d, [0] * d, [0] * (d - 1) + [-1], [1] * d][: tb.depth]
    by_hand = {4: [4 * d, -4 * d, 4 * d, 4 * d - 8, 4 * d], -3: [-3 * d, 3 * d, -3 * d, 6 - 3 * d, -3 * d], 0: [0] * 5}
    await tb.loaded(database)
    for value, scores in by_hand.items():
        tb.send_queries([[value] * d])
        while tb.query.words:
            await tb.step()
        due = [score for payload in tb.scores.expected for score in tb.describe(payload)["scores"] if score is not None]
        n = len(database)
        assert due[-n:] == scores[:n], "the model is wrong"
        await tb.finish()


@cocotb.test()
async def every_nit_and_sign(dut: Any) -> None:
    """Every nit of a query with every sign, at every position, alone in its score."""
    tb = await started(dut)
    for position in range(tb.dimensions):
        rows = [[nit if at == position else 0 for at in range(tb.dimensions)] for nit in (NIT_MIN, -1, 0, 1, NIT_MAX)]
        await tb.loaded(rows[: tb.depth])
        for nit in range(NIT_MIN, NIT_MAX + 1):
            tb.send_queries([[nit if at == position else 0 for at in range(tb.dimensions)]])
        while tb.query.words:
            await tb.step()
    await tb.finish()


@cocotb.test()
async def every_entry_of_a_table(dut: Any) -> None:
    """All 16 signs of four dimensions, with nits of all magnitudes: sums of 0 to 16, with every sign of the nits."""
    tb = await started(dut)
    rows = [[-1 if n >> at % 4 & 1 else 1 for at in range(tb.dimensions)] for n in range(16)]
    for start in range(0, 16, tb.rows):
        await tb.loaded(rows[start : start + tb.rows])
        for magnitude in (NIT_MAX, 3):
            tb.send_queries([[value * magnitude for value in row] for row in rows])
        while tb.query.words:
            await tb.step()
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
    for words_before in range(2 * tb.words + 1):
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
    """A load of more rows than fit keeps the first `depth` of them, and the next load is whole again."""
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
    """One word is loaded a cycle; a word of scores takes `beats` cycles, with a pause in which tables are filled."""
    tb = await started(dut)
    later = (tb.beats - 1) * min(tb.lanes, tb.dimensions) // tb.width
    for count in sorted({1, min(2, tb.depth), tb.depth}):
        await tb.restart()
        await tb.loaded(tb.random_vectors(count))
        assert tb.load.bubbles == 0, f"{tb.load.bubbles} bubbles at the load"
        tb.send_queries(tb.random_vectors(8))
        await tb.finish()
        words = tb.passes * -(-count // tb.together)
        offered = tb.scores.offered
        for query in range(8):
            first = offered[query * words]
            promised = [first + n * tb.beats for n in range(words)]
            found = offered[query * words : (query + 1) * words]
            assert found == promised, f"scores of {count} rows in cycles {found}, not {promised}"
        pauses = [offered[n * words] - offered[n * words - 1] - tb.beats for n in range(1, 8)]
        # With few rows, the source of queries is the bottleneck.
        enters = tb.words - words * tb.beats
        promised = max(_FILL * tb.beats + later, _FILL + enters)
        assert set(pauses[1:]) == {promised}, f"pauses of {pauses} cycles, not {promised}"


@cocotb.test()
async def latency(dut: Any) -> None:
    """The first score of a lone query is offered as long after its last word as the engine promises."""
    tb = await started(dut)
    await tb.loaded(tb.random_vectors(tb.rows))
    promised = tb.latency(parameters().get("registered", True))
    for _ in range(3):
        place = len(tb.scores.offered)
        tb.send_queries(tb.random_vectors(1))
        await tb.finish()
        taken = tb.scores.offered[place] - tb.ends[-1]
        assert taken == promised, f"{taken} cycles, not {promised}"


@cocotb.test()
async def the_next_query_enters_during_scoring(dut: Any) -> None:
    """With the sink blocked two queries are held, not many more, and nothing is lost."""
    tb = await started(dut)
    await tb.loaded(tb.random_vectors(tb.rows))
    tb.pace(always, blocked(600))
    tb.send_queries(tb.random_vectors(40))
    await tb.steps(600)
    assert len(tb.ends) >= 2, "the next query is not accepted while one is scored"
    assert not tb.query.ready, "queries are still accepted after 600 blocked cycles"
    await tb.finish()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset in a load, a query or its scoring, nothing is left and the first load starts at row 0."""
    tb = await started(dut)
    for round_ in range(24):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send_load(tb.random_vectors(tb.rows))
        if round_ % 3:
            while tb.load.words:
                await tb.step()
            tb.send_queries(tb.random_vectors(5))
        await tb.steps(tb.random.randint(1, tb.words + _FILL * tb.beats + 3 * tb.beats + 12))
        await tb.restart()
        tb.send_queries(tb.random_vectors(2))
        await tb.steps(tb.random.choice([0, 0, 40]))
        assert not tb.query.accepted, "a query is accepted although nothing was loaded since the reset"
        tb.send_load(tb.random_vectors(tb.random.randint(1, tb.rows)))
        await tb.finish(settle=1)
    await tb.finish()
