import re
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from amaranth.sim import Simulator

from ninefold.hdl.cores import similarity
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.parts import relay
from ninefold.hdl.parts.adders import AdderTree
from ninefold.spec.errors import InputError
from tests.hdl.streams import Testbench, words_of

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Vectors = list[list[int]]


def nits(random: Random, rows: int, dimensions: int) -> Vectors:
    return [[random.randint(-4, 4) for _ in range(dimensions)] for _ in range(rows)]


def load_words(vectors: Vectors, lanes: int) -> list[dict[str, Any]]:
    return words_of(vectors, lanes, "nits", lambda i: i == len(vectors) - 1)


def query_words(queries: Vectors, lanes: int) -> list[dict[str, Any]]:
    return words_of(queries, lanes, "nits", lambda i: i % 2 == 0)


def scored(queries: Vectors, vectors: Vectors) -> list[tuple[Any, ...]]:
    return [
        (sum(a * b for a, b in zip(query, vector, strict=True)), i, int(i == len(vectors) - 1))
        for query in queries
        for i, vector in enumerate(vectors)
    ]


def run(
    core: Similarity, jobs: list[tuple[Vectors, Vectors]], rates: tuple[float, float, float], seed: int
) -> tuple[list[list[int]], list[int]]:
    """Load and query in turn, and compare; returns the cycles of the query words of each job, and of the scores."""
    tb = Testbench(core, seed)
    load_rate, query_rate, score_rate = rates
    accepted: list[list[int]] = []

    async def source(ctx: Any) -> None:
        for vectors, queries in jobs:
            async for _ in tb.feed(ctx, core.load, load_words(vectors, core.lanes), load_rate):
                pass
            accepted.append([])
            async for _ in tb.feed(ctx, core.query, query_words(queries, core.lanes), query_rate):
                accepted[-1].append(tb.cycle)

    model = [score for vectors, queries in jobs for score in scored(queries, vectors)]
    tb.add(source)
    got, cycles = tb.receive(core.scores, len(model), score_rate)
    tb.run()
    assert got == model
    return accepted, cycles


def test_every_product_of_two_nits() -> None:
    every = [[nit] for nit in range(-4, 5)]
    run(Similarity(1, 1, 9), [(every, every)], (1, 1, 1), seed=0)


@pytest.mark.parametrize("rates", [(1, 1, 1), (1, 1, 0.2), (0.3, 0.3, 1), (0.6, 0.6, 0.6)])
@pytest.mark.parametrize(
    ("dimensions", "lanes", "depth"),
    [(1, 1, 1), (8, 8, 5), (8, 4, 8), (9, 3, 4), (5, 1, 3), (7, 7, 2), (10, 5, 6), (64, 16, 3), (140, 70, 2)],
)
def test_loads_and_queries_under_back_pressure(
    dimensions: int, lanes: int, depth: int, rates: tuple[float, float, float]
) -> None:
    random = Random(dimensions * depth)
    # By turns with registers around the stores and without.
    registered = bool((lanes + rates.count(1)) % 2)
    # A full store, one vector, and some; each database replaces the one before it.
    sizes = [(depth, 3), (1, 4), ((depth + 1) // 2, 2), (depth, 1)]
    jobs = [(nits(random, n, dimensions), nits(random, q, dimensions)) for n, q in sizes]
    run(Similarity(dimensions, lanes, depth, registered), jobs, rates, seed=3)


@pytest.mark.parametrize("rates", [(1, 1, 1), (1, 1, 0.2), (0.3, 0.6, 1)])
def test_many_groups_of_lanes_are_reached_by_relays(
    rates: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "_GROUP", 2)
    monkeypatch.setattr(relay, "NEAR", 4)
    random = Random(7)
    jobs = [(nits(random, n, 20), nits(random, q, 20)) for n, q in [(4, 5), (1, 9), (3, 2), (4, 1)]]
    accepted, cycles = run(Similarity(20, 10, 4), jobs, rates, seed=4)
    if rates == (1, 1, 1):
        assert cycles[0] == accepted[0][1] + 2 + 4 + 13
        assert [b - a for a, b in pairwise(cycles[:20])] == [2] * 19


@pytest.mark.parametrize(("dimensions", "lanes"), [(64, 32), (16, 16), (12, 3), (1, 1)])
def test_extreme_scores_fit(dimensions: int, lanes: int) -> None:
    ends = [[4] * dimensions, [-4] * dimensions, [4, -4] * (dimensions // 2) + [4] * (dimensions % 2)]
    assert scored(ends[:1], ends[:2]) == [(16 * dimensions, 0, 0), (-16 * dimensions, 1, 1)]
    run(Similarity(dimensions, lanes, 3), [(ends, ends)], (1, 1, 1), seed=0)


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize(
    ("dimensions", "lanes", "rows"), [(8, 8, 5), (8, 8, 1), (8, 2, 1), (8, 2, 3), (6, 2, 2), (9, 1, 2)]
)
def test_no_bubble_at_saturation(dimensions: int, lanes: int, rows: int, registered: bool) -> None:
    random = Random(1)
    beats = dimensions // lanes
    core = Similarity(dimensions, lanes, rows, registered)
    jobs = [(nits(random, rows, dimensions), nits(random, 40, dimensions))]
    (accepted,), cycles = run(core, jobs, (1, 1, 1), seed=0)
    assert [b - a for a, b in pairwise(cycles)] == [beats] * (len(cycles) - 1)
    # Two queries are held: the third is accepted while the first is scored.
    assert accepted[: 2 * beats] == list(range(accepted[0], accepted[0] + 2 * beats))
    latency = beats + (lanes - 1).bit_length() + (11 if registered else 8)
    assert cycles[0] == accepted[beats - 1] + latency


def test_one_word_is_loaded_a_cycle() -> None:
    core = Similarity(8, 2, 16)
    tb = Testbench(core, seed=2)
    vectors = nits(tb.random, 16, 8)
    accepted = tb.send(core.load, load_words(vectors, 2))
    tb.run()
    assert accepted == list(range(accepted[0], accepted[0] + 64))


def test_words_past_the_store_have_no_effect() -> None:
    core = Similarity(4, 2, 3)
    tb = Testbench(core, seed=7)
    vectors, queries = nits(tb.random, 9, 4), nits(tb.random, 3, 4)
    later = nits(tb.random, 2, 4)

    async def source(ctx: Any) -> None:
        for database in (vectors, later):
            async for _ in tb.feed(ctx, core.load, load_words(database, 2)):
                pass
            async for _ in tb.feed(ctx, core.query, query_words(queries, 2)):
                pass

    model = scored(queries, vectors[:3]) + scored(queries, later)
    tb.add(source)
    got, _ = tb.receive(core.scores, len(model))
    tb.run()
    assert got == model


@pytest.mark.parametrize("score_rate", [1, 0.2])
def test_a_load_waits_for_the_queries_before_it_and_the_queries_after_it_wait(score_rate: float) -> None:
    core = Similarity(6, 2, 4)
    tb = Testbench(core, seed=9)
    old, new = nits(tb.random, 4, 6), nits(tb.random, 3, 6)
    queries = nits(tb.random, 6, 6)
    words = query_words(queries, 2)
    loaded: list[int] = []
    asked: list[int] = []
    # The load is offered when queries 0 and 1 and a part of query 2 are accepted.
    offered_after = 7

    async def loads(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, load_words(old, 2)):
            pass
        while len(asked) < offered_after:
            await ctx.tick()
        async for _ in tb.feed(ctx, core.load, load_words(new, 2)):
            loaded.append(tb.cycle)

    tb.add(loads)

    async def asks(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.query, words):
            asked.append(tb.cycle)
            if len(asked) == offered_after:
                await ctx.tick().repeat(20)

    tb.add(asks)
    model = scored(queries[:3], old) + scored(queries[3:], new)
    got, _ = tb.receive(core.scores, len(model), score_rate)
    tb.run()
    assert got == model
    assert asked[8] < loaded[0]
    assert loaded[-1] < asked[9]


def test_queries_wait_for_the_first_load() -> None:
    core = Similarity(2, 2, 2)
    tb = Testbench(core, seed=0)
    asked = tb.send(core.query, query_words([[1, 2]], 2))
    loaded: list[int] = []

    async def late(ctx: Any) -> None:
        await ctx.tick().repeat(30)
        async for _ in tb.feed(ctx, core.load, load_words([[3, 4], [-1, 0]], 2)):
            loaded.append(tb.cycle)

    tb.add(late)
    got, _ = tb.receive(core.scores, 2)
    tb.run()
    assert got == [(11, 0, 0), (-1, 1, 1)]
    assert asked[0] > loaded[-1]


def test_ready_does_not_follow_other_ports_within_a_cycle() -> None:
    core = Similarity(2, 2, 2)
    tb = Testbench(core, seed=0)

    async def stall(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, load_words([[1, 1], [2, 2]], 2)):
            pass
        ctx.set(core.query.valid, 1)
        await ctx.tick().repeat(100)
        for port in (core.scores.ready, core.load.valid, core.query.valid):
            before = ctx.get(port)
            for value in (0, 1, before):
                ctx.set(port, value)
                assert ctx.get(core.scores.valid)
                assert not ctx.get(core.query.ready)
                assert not ctx.get(core.load.ready)

    tb.add(stall)
    tb.run()


@pytest.mark.parametrize("operands", [1, 2, 3, 5, 8, 13])
def test_adder_tree(operands: int) -> None:
    core = AdderTree(4, operands)
    random = Random(operands)
    # An operand with its carry fits its width.
    sets = [[(-8, 0)] * operands, [(-8, 1)] * operands, [(7, 0)] * operands, [(6, 1)] * operands]
    sets += [[(random.randint(-8, 6), random.getrandbits(1)) for _ in range(operands)] for _ in range(40)]
    sums: list[int] = []

    async def check(ctx: Any) -> None:
        for operand_set in sets + [sets[0]] * core.latency:
            ctx.set(core.operands, [value for value, _ in operand_set])
            ctx.set(core.carries, sum(carry << i for i, (_, carry) in enumerate(operand_set)))
            sums.append(ctx.get(core.sum))
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()
    assert sums[core.latency :] == [sum(value + carry for value, carry in operand_set) for operand_set in sets]


@pytest.mark.parametrize(
    ("dimensions", "lanes", "depth", "message"),
    [
        (0, 1, 1, "dimensions must be an integer from 1 to 4096, not 0"),
        (4097, 1, 1, "dimensions must be an integer from 1 to 4096, not 4097"),
        ("8", 1, 1, "dimensions must be an integer from 1 to 4096, not '8'"),
        (8, 0, 1, "lanes must be an integer from 1 to 4096, not 0"),
        (8, 3, 1, "lanes must divide dimensions (8), which 3 does not"),
        (8, 16, 1, "lanes must divide dimensions (8), which 16 does not"),
        (8, 8, 0, "depth must be an integer from 1 to 1048576, not 0"),
        (8, 8, 2**20 + 1, "depth must be an integer from 1 to 1048576, not 1048577"),
    ],
)
def test_refusals(dimensions: Any, lanes: Any, depth: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Similarity(dimensions, lanes, depth)


def test_parameters_and_widths() -> None:
    core = Similarity(384, 16, 512)
    assert (core.dimensions, core.lanes, core.depth) == (384, 16, 512)
    payload = core.scores.payload.shape()
    assert {name: payload[name].width for name in ("score", "id")} == {"score": 14, "id": 9}
    assert Similarity(1, 1, 1).scores.payload.shape()["id"].width == 1
