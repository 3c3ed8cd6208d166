"""The threshold selection against a sorted list, in Amaranth's simulator."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from random import Random
from typing import Any

import pytest

from ninefold.hdl.cores.threshold_select import ThresholdSelect
from ninefold.hdl.parts.counts import CountBank
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX
from tests.hdl.streams import Testbench

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Result = tuple[int, int, int, int]


@dataclass(frozen=True)
class Query:
    """Scores of rows, None for one that does not take part, and the number to select."""

    scores: list[int | None]
    limit: int

    def words(self, rows: int) -> list[dict[str, Any]]:
        """Return one scan."""
        count = -(-len(self.scores) // rows)
        words = []
        for word in range(count):
            given = self.scores[word * rows : (word + 1) * rows]
            scores = [0 if score is None else score for score in given]
            valid = sum((score is not None) << i for i, score in enumerate(given))
            words.append({"scores": scores + [0] * (rows - len(given)), "valid": valid, "word": word})
            words[-1]["last"] = int(word == count - 1)
        return words

    def results(self) -> list[Result]:
        """Return the results by sorting."""
        ranked = sorted((-score, i) for i, score in enumerate(self.scores) if score is not None)[: self.limit]
        chosen = sorted((i, -negated) for negated, i in ranked)
        if not chosen:
            return [(0, 0, 0, 1)]
        return [(score, i, 1, int(i == chosen[-1][0])) for i, score in chosen]


@dataclass
class Run:
    """Results, and the cycles in which words and results were transferred."""

    results: list[Result]
    delivered: list[int]
    accepted: list[int]


def run(core: ThresholdSelect, queries: list[Query], seed: int, offer: float = 1.0, take: float = 1.0) -> Run:
    """Scan each query twice."""
    tb = Testbench(core, seed, limit=400_000)
    words = [word for query in queries for _ in range(2) for word in query.words(core.rows)]
    accepted = tb.send(core.scores, words, offer)
    tb.send(core.limit, ({"rows": query.limit} for query in queries))
    results, delivered = tb.receive(core.results, sum(len(query.results()) for query in queries), take)
    tb.run()
    return Run(results, delivered, accepted)


def expected(queries: Iterable[Query]) -> list[Result]:
    return [result for query in queries for result in query.results()]


def random_query(random: Random, core: ThresholdSelect) -> Query:
    """Return scores of one parity, from a few neighbours or the whole range, with rows left out."""
    parity, top = random.randrange(2), 4 * core.dimensions
    scores = [score for score in range(-top, top + 1) if score % 2 == parity]
    spread = random.choice([1, 2, 5, len(scores)])
    start = random.choice([0, max(0, len(scores) - spread), random.randrange(len(scores))])
    chosen = scores[start : start + spread]
    allowed = random.choice([0.0, 0.3, 1.0, 1.0])
    size = random.choice([1, core.depth, random.randint(1, core.depth)])
    rows = [random.choice(chosen) if random.random() < allowed else None for _ in range(size)]
    return Query(rows, random.choice([1, core.keep, random.randint(1, core.keep)]))


@pytest.mark.parametrize(
    ("dimensions", "keep", "rows", "depth"),
    [(1, 1, 1, 1), (1, 3, 1, 5), (2, 4, 2, 7), (3, 9, 3, 20), (8, 12, 4, 30), (16, 64, 4, 64), (6, 40, 8, 33)],
)
@pytest.mark.parametrize(("offer", "take"), [(1.0, 1.0), (0.4, 1.0), (1.0, 0.3), (0.6, 0.6)])
def test_queries_under_back_pressure(
    dimensions: int, keep: int, rows: int, depth: int, offer: float, take: float
) -> None:
    random = Random(f"{dimensions} {keep} {rows} {depth} {offer} {take}")
    core = ThresholdSelect(dimensions, keep, rows, depth)
    queries = [random_query(random, core) for _ in range(25)]
    assert run(core, queries, random.randrange(1000), offer, take).results == expected(queries)


def test_cycles() -> None:
    core = ThresholdSelect(8, 12, 4, 32)
    # One row of each word, all of the lowest counted score but one, so that every group and place is looked at.
    rows: list[int | None] = [-30 if i % 4 == 1 else None for i in range(32)]
    queries = [Query([-30, *rows[1:]], 9), Query([32, *rows[1:]], 1), Query([-32, *rows[1:]], 12)]
    seen = run(core, queries, seed=1)
    assert seen.results == expected(queries)
    first, second, third = (seen.accepted[start : start + 16] for start in (0, 16, 32))
    assert [b - a for a, b in pairwise(first)] == [1] * 7 + [core.search + 1] + [1] * 7
    # Found in the first groups; and not at all.
    assert max(second[8] - second[7], third[8] - third[7]) < core.search + 1
    assert (second[0] - first[-1], third[0] - second[-1]) == (1, 1)
    # Results follow one another, and the last comes when the scan has ended.
    assert seen.delivered[0] == first[8] + 7
    assert seen.delivered[1:8] == list(range(first[8] + 8, first[8] + 15))


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_a_search_takes_no_longer_than_promised(rows: int) -> None:
    for dimensions in (*range(1, 64), *range(64, DIMENSIONS_MAX + 1, 31)):
        assert ThresholdSelect(dimensions, 1, rows, 1).search <= 2 * sqrt(4 * dimensions + 1) + 8, dimensions


def test_a_search_of_wide_words_takes_no_longer_than_promised() -> None:
    for dimensions in (*range(77, 100), *range(100, DIMENSIONS_MAX + 1, 31)):
        assert ThresholdSelect(dimensions, 1, 64, 1).search <= 2 * sqrt(4 * dimensions + 1) + 8, dimensions
    assert ThresholdSelect(512, 4096, 4, 4096).search == 89


def test_a_limit_of_zero_selects_no_row() -> None:
    core = ThresholdSelect(2, 4, 2, 6)
    queries = [Query([8, 6, 8, -8, 8, 6], limit) for limit in (0, 4, 0, 1)]
    assert run(core, queries, seed=1).results == expected(queries)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0, 1, 1, 1), "dimensions must be an integer from 1 to 4096, not 0"),
        ((8, 8193, 1, 1), "keep must be an integer from 1 to 8192, not 8193"),
        ((8, 1, 65, 1), "rows must be an integer from 1 to 64, not 65"),
        ((8, 1, 1, 2**20 + 1), "depth must be an integer from 1 to 1048576, not 1048577"),
    ],
)
def test_refusals(parameters: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        ThresholdSelect(*parameters)


@pytest.mark.parametrize("group_bits", [1, 2])
def test_counts_of_a_bank(group_bits: int) -> None:
    bank = CountBank(3, group_bits, 5)
    places = 6 << group_bits
    random = Random(group_bits)
    # Runs of few places, with pauses, overlap in every way.
    steps = [random.choice([*random.sample(range(places), 2)] * 2 + [None]) for _ in range(120)]
    steps += [3, 3, 3, 3, None, 3, 4, 3, 4, 3, None, None, 3]
    counted = Counter(step for step in steps if step is not None)
    tb = Testbench(bank, seed=1)

    async def drive(ctx: Any) -> None:
        for cleared in (None, 3):
            for step in steps if cleared is None else []:
                ctx.set(bank.count, step is not None)
                ctx.set(bank.place, step or 0)
                await ctx.tick()
            ctx.set(bank.count, 0)
            if cleared is not None:
                ctx.set(bank.place, cleared)
                ctx.set(bank.clear, 1)
                await ctx.tick()
                ctx.set(bank.clear, 0)
            for place in range(places):
                ctx.set(bank.place, place)
                await ctx.tick().repeat(2)
                left = {other: 0 if other == cleared else counted[other] for other in range(places)}
                assert ctx.get(bank.single) == left[place]
                pair = place >> group_bits + 1
                for half, port in ((0, bank.lower), (1, bank.upper)):
                    group = 2 * pair + half
                    gone = cleared is not None and cleared >> group_bits == group
                    held = [n for other, n in counted.items() if other >> group_bits == group]
                    assert ctx.get(port) == (0 if gone else sum(held) % 32)

    tb.add(drive)
    tb.run()
