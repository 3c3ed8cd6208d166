import re
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.spec.errors import InputError
from ninefold.spec.formats import MODES, THRESHOLDS, Mode
from tests.hdl.streams import Testbench, words_of

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Rows = list[list[int]]


def nits(random: Random, rows: int, dimensions: int) -> Rows:
    return [[random.randint(-4, 4) for _ in range(dimensions)] for _ in range(rows)]


def grid(random: Random, rows: int, dimensions: int) -> Rows:
    return [
        [random.choice([random.randint(-7000, 7000), -32768, 32767]) for _ in range(dimensions)] for _ in range(rows)
    ]


def mined(queries: Rows, vectors: Rows, thresholds: tuple[int, ...], k: int) -> list[tuple[Any, ...]]:
    results: list[tuple[Any, ...]] = []
    for query in queries:
        quantised = [(-1 if g < 0 else 1) * sum(abs(g) >= t for t in thresholds) for g in query]
        scores = [sum(a * b for a, b in zip(quantised, vector, strict=True)) for vector in vectors]
        best = sorted(range(len(vectors)), key=lambda i: (-scores[i], i))[:k]
        results += [(scores[i], i, int(i == best[-1])) for i in best]
    return results


def load_words(vectors: Rows, lanes: int) -> list[dict[str, Any]]:
    return words_of(vectors, lanes, "nits", lambda i: i == len(vectors) - 1)


def value_words(queries: Rows, lanes: int) -> list[dict[str, Any]]:
    return words_of(queries, lanes, "grid", lambda _: True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rates", [(1, 1, 1), (1, 1, 0.2), (0.2, 0.3, 1), (0.6, 0.6, 0.6)])
@pytest.mark.parametrize(
    ("dimensions", "lanes", "depth", "k"), [(8, 4, 9, 3), (6, 6, 5, 1), (4, 1, 4, 6), (1, 1, 8, 8), (12, 12, 3, 4)]
)
def test_databases_and_queries_under_back_pressure(
    mode: Mode, dimensions: int, lanes: int, depth: int, k: int, rates: tuple[float, float, float]
) -> None:
    core = Pipeline(mode, dimensions, lanes, depth, k)
    tb = Testbench(core, seed=13)
    load_rate, value_rate, result_rate = rates
    sizes = [(depth, 3), (1, 4), ((depth + 1) // 2, 2), (depth, 2)]
    jobs = [(nits(tb.random, n, dimensions), grid(tb.random, q, dimensions)) for n, q in sizes]
    model = [mined(queries, vectors, THRESHOLDS[mode].reached_at, k) for vectors, queries in jobs]
    got, _ = tb.receive(core.results, sum(map(len, model)), result_rate)

    async def source(ctx: Any) -> None:
        for vectors, queries in jobs:
            async for _ in tb.feed(ctx, core.load, load_words(vectors, lanes), load_rate):
                pass
            async for _ in tb.feed(ctx, core.values, value_words(queries, lanes), value_rate):
                pass

    tb.add(source)
    tb.run()
    assert got == [result for results in model for result in results]


def test_thresholds_are_written_between_queries() -> None:
    core = Pipeline("tanh", 4, 2, 4, 2)
    tb = Testbench(core, seed=4)
    vectors, queries = nits(tb.random, 4, 4), grid(tb.random, 6, 4)
    before, after = THRESHOLDS["tanh"].reached_at, (1, 4000, 5000, 32768)

    async def source(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, load_words(vectors, 2)):
            pass
        async for _ in tb.feed(ctx, core.values, value_words(queries[:3], 2)):
            pass
        writes = [{"index": i, "value": value} for i, value in enumerate(after)]
        async for _ in tb.feed(ctx, core.threshold, writes):
            pass
        async for _ in tb.feed(ctx, core.values, value_words(queries[3:], 2)):
            pass

    model = mined(queries[:3], vectors, before, 2) + mined(queries[3:], vectors, after, 2)
    tb.add(source)
    got, _ = tb.receive(core.results, len(model), 0.5)
    tb.run()
    assert got == model


@pytest.mark.parametrize("result_rate", [1, 0.2])
@pytest.mark.parametrize("offered_after", range(5, 9))
def test_a_load_waits_for_the_queries_before_it(offered_after: int, result_rate: float) -> None:
    core = Pipeline("linear", 6, 2, 4, 2)
    tb = Testbench(core, seed=6)
    old, new = nits(tb.random, 4, 6), nits(tb.random, 3, 6)
    queries = grid(tb.random, 8, 6)
    asked: list[int] = []
    loaded: list[int] = []

    async def loads(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, load_words(old, 2)):
            pass
        while len(asked) < offered_after:
            await ctx.tick()
        async for _ in tb.feed(ctx, core.load, load_words(new, 2)):
            loaded.append(tb.cycle)

    async def asks(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.values, value_words(queries, 2)):
            asked.append(tb.cycle)
            if len(asked) == offered_after:
                await ctx.tick().repeat(20)

    tb.add(loads)
    tb.add(asks)
    # A query of which a word is accepted comes before the load.
    before = -(-offered_after // 3)
    thresholds = THRESHOLDS["linear"].reached_at
    model = mined(queries[:before], old, thresholds, 2) + mined(queries[before:], new, thresholds, 2)
    got, _ = tb.receive(core.results, len(model), result_rate)
    tb.run()
    assert got == model
    assert asked[3 * before - 1] < loaded[0]


def test_queries_wait_for_the_first_load() -> None:
    core = Pipeline("linear", 1, 1, 2, 1)
    tb = Testbench(core, seed=0)
    tb.send(core.values, [{"grid": [value], "last": 1} for value in (32767, -32768, 2049)] * 4)

    async def late(ctx: Any) -> None:
        await ctx.tick().repeat(40)
        async for _ in tb.feed(ctx, core.load, load_words([[-3], [2]], 1)):
            pass

    tb.add(late)
    got, _ = tb.receive(core.results, 12)
    tb.run()
    assert got == [(8, 1, 1), (12, 0, 1), (2, 1, 1)] * 4


#: The miner's latency, by k.
MINER_LATENCY = {1: 8, 3: 10, 4: 11, 5: 14, 6: 15}


@pytest.mark.parametrize(
    ("dimensions", "lanes", "rows", "k"), [(8, 8, 6, 3), (8, 2, 6, 6), (9, 3, 2, 4), (4, 4, 3, 5), (6, 6, 1, 1)]
)
def test_cycles(dimensions: int, lanes: int, rows: int, k: int) -> None:
    core = Pipeline("linear", dimensions, lanes, rows, k)
    tb = Testbench(core, seed=8)
    beats = dimensions // lanes
    vectors, queries = nits(tb.random, rows, dimensions), grid(tb.random, 12, dimensions)
    accepted: list[int] = []

    async def source(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, load_words(vectors, lanes)):
            pass
        async for _ in tb.feed(ctx, core.values, value_words(queries, lanes)):
            accepted.append(tb.cycle)

    tb.add(source)
    model = mined(queries, vectors, THRESHOLDS["linear"].reached_at, k)
    got, cycles = tb.receive(core.results, len(model))
    tb.run()
    assert got == model
    best = cycles[:: min(rows, k)]
    assert best[0] - accepted[beats - 1] == rows * beats + (lanes - 1).bit_length() + 16 + MINER_LATENCY[k]
    assert [b - a for a, b in pairwise(best)] == [rows * beats] * 11


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("gauss", 8, 4, 2, 1), "mode must be one of tanh, linear, not 'gauss'"),
        (("tanh", 8, 3, 2, 1), "lanes must divide dimensions (8), which 3 does not"),
        (("tanh", 0, 1, 2, 1), "dimensions must be an integer from 1 to 4096, not 0"),
        (("tanh", 8, 4, 0, 1), "depth must be an integer from 1 to 1048576, not 0"),
        (("tanh", 8, 4, 2, 0), "k must be an integer from 1 to 256, not 0"),
        (("tanh", 8, 4, 2, 257), "k must be an integer from 1 to 256, not 257"),
    ],
)
def test_refusals(parameters: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Pipeline(*parameters)


def test_parameters_are_attributes() -> None:
    core = Pipeline("tanh", 8, 4, 2, 1)
    assert (core.mode, core.dimensions, core.lanes, core.depth, core.k) == ("tanh", 8, 4, 2, 1)
