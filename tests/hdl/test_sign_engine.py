import re
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Const, Module, Value, signed
from amaranth.sim import Simulator

from ninefold.hdl.cores import sign_engine
from ninefold.hdl.cores.sign_engine import SignEngine
from ninefold.hdl.parts import relay
from ninefold.hdl.parts.adders import ChainedTree
from ninefold.hdl.parts.layouts import coarse_layout
from ninefold.hdl.parts.sign_tables import fill_step, signed_magnitude
from ninefold.spec.errors import InputError
from tests.hdl.streams import Testbench, words_of

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Vectors = list[list[int]]
ALWAYS = (1.0, 1.0, 1.0)


def nits(random: Random, rows: int, dimensions: int) -> Vectors:
    """Return random vectors, half of whose elements are extreme."""
    return [[random.choice([-4, 4, random.randint(-4, 4)]) for _ in range(dimensions)] for _ in range(rows)]


def scored(core: SignEngine, query: list[int], vectors: Vectors) -> list[tuple[Any, ...]]:
    scores = [sum(-a if b < 0 else a for a, b in zip(query, vector, strict=True)) for vector in vectors]
    words = [scores[start : start + core.rows] for start in range(0, len(scores), core.rows)]
    return [
        ([*word, *[0] * (core.rows - len(word))], (1 << len(word)) - 1, i, int(i == len(words) - 1))
        for i, word in enumerate(words)
    ] * core.passes


def run(
    core: SignEngine, jobs: list[tuple[Vectors, Vectors]], rates: tuple[float, float, float], seed: int
) -> tuple[list[int], list[int]]:
    """Load and query in turn, and compare; returns the cycles of the words of queries and of scores."""
    tb = Testbench(core, seed, limit=40_000)
    load_rate, query_rate, score_rate = rates
    accepted: list[int] = []

    async def source(ctx: Any) -> None:
        for vectors, queries in jobs:
            words = words_of(vectors, core.width, "nits", lambda i: i == len(vectors) - 1)  # noqa: B023 - used at once
            async for _ in tb.feed(ctx, core.load, words, load_rate):
                pass
            async for _ in tb.feed(ctx, core.query, words_of(queries, core.width, "nits", lambda _: False), query_rate):
                accepted.append(tb.cycle)

    model = [word for vectors, queries in jobs for query in queries for word in scored(core, query, vectors)]
    tb.add(source)
    got, cycles = tb.receive(core.scores, len(model), score_rate)
    tb.run()
    assert got == model
    return accepted, cycles


#: Beats of one row, one row a beat, and several rows a beat; words of one nit, a row and in between.
SIZES = [(8, 4, 3, 2, 2), (4, 4, 1, 1, 1), (8, 8, 5, 4, 1), (8, 32, 9, 2, 3), (12, 4, 4, 4, 1), (64, 16, 5, 16, 2)]


@pytest.mark.parametrize("rates", [ALWAYS, (1, 1, 0.2), (0.5, 0.3, 0.9)])
@pytest.mark.parametrize("size", SIZES)
def test_loads_and_queries_under_back_pressure(
    size: tuple[int, int, int, int, int], rates: tuple[float, float, float]
) -> None:
    random = Random(sum(size))
    dimensions, depth = size[0], size[2]
    # By turns with registers around the store and without.
    registered = bool((size[1] + rates.count(1)) % 3)
    # A full store, one row, and some; each database replaces the one before it.
    jobs = [
        (nits(random, rows, dimensions), nits(random, queries, dimensions))
        for rows, queries in [(depth, 3), (1, 4), ((depth + 1) // 2, 2), (depth, 1)]
    ]
    run(SignEngine(*size, registered), jobs, rates, seed=3)


@pytest.mark.parametrize("rates", [ALWAYS, (0.5, 0.9, 0.3)])
def test_many_groups_and_sections_are_reached_by_relays(
    rates: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_PART": 4, "_GROUP": 8, "_SECTION": 4}.items():
        monkeypatch.setattr(sign_engine, name, value)
    monkeypatch.setattr(relay, "NEAR", 2)
    random = Random(7)
    jobs = [(nits(random, n, 16), nits(random, q, 16)) for n, q in [(9, 3), (1, 5), (3, 2)]]
    run(SignEngine(16, 32, 9, 2, 2), jobs, rates, seed=4)


@pytest.mark.parametrize("size", SIZES)
def test_extreme_scores_fit(size: tuple[int, int, int, int, int]) -> None:
    dimensions, depth = size[0], size[2]
    ends = [[4] * dimensions, [-4] * dimensions, [4, -4] * (dimensions // 2)]
    core = SignEngine(*size)
    assert scored(core, ends[0], ends[:1])[0][0][0] == 4 * dimensions
    run(core, [(ends[:depth], ends)], ALWAYS, seed=0)


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_latency_and_throughput(size: tuple[int, int, int, int, int], registered: bool) -> None:
    dimensions, lanes, depth, width, passes = size
    random = Random(1)
    core = SignEngine(*size, registered)
    beats = max(1, dimensions // lanes)
    accepted, cycles = run(core, [(nits(random, depth, dimensions), nits(random, 8, dimensions))], ALWAYS, seed=0)
    assert cycles[0] - accepted[dimensions // width - 1] == core.latency
    words = passes * -(-depth // core.rows)
    assert all(b - a == beats for i, (a, b) in enumerate(pairwise(cycles), 1) if i % words)
    # The source of queries may be slower than the engine.
    fill = 16 * beats + (beats - 1) * lanes // width
    apart = max(words * beats + fill, dimensions // width + 16)
    assert {b - a for a, b in pairwise(cycles[words::words])} == {apart}


def test_one_word_is_loaded_a_cycle() -> None:
    core = SignEngine(8, 16, 16, 2)
    tb = Testbench(core, seed=2)
    words = words_of(nits(tb.random, 16, 8), 2, "nits", lambda i: i == 15)
    accepted = tb.send(core.load, words)
    tb.run()
    assert accepted == list(range(accepted[0], accepted[0] + 64))


@pytest.mark.parametrize("lanes", [4, 16])
def test_words_past_the_store_have_no_effect(lanes: int) -> None:
    random = Random(7)
    core = SignEngine(4, lanes, 3, 2)
    tb = Testbench(core, seed=7)
    vectors, queries, later = nits(random, 9, 4), nits(random, 3, 4), nits(random, 2, 4)

    async def source(ctx: Any) -> None:
        for database in (vectors, later):
            words = words_of(database, 2, "nits", lambda i: i == len(database) - 1)  # noqa: B023 - used at once
            async for _ in tb.feed(ctx, core.load, words):
                pass
            async for _ in tb.feed(ctx, core.query, words_of(queries, 2, "nits", lambda _: True)):
                pass

    model = [word for kept in (vectors[:3], later) for query in queries for word in scored(core, query, kept)]
    tb.add(source)
    got, _ = tb.receive(core.scores, len(model))
    tb.run()
    assert got == model


@pytest.mark.parametrize("score_rate", [1, 0.2])
@pytest.mark.parametrize("lanes", [4, 16])
def test_a_load_waits_for_the_queries_before_it_and_the_queries_after_it_wait(lanes: int, score_rate: float) -> None:
    core = SignEngine(8, lanes, 4, 2)
    tb = Testbench(core, seed=9)
    old, new = nits(tb.random, 4, 8), nits(tb.random, 3, 8)
    queries = nits(tb.random, 6, 8)
    loaded: list[int] = []
    asked: list[int] = []
    # The load is offered when queries 0 and 1 and a part of query 2 are accepted.
    offered_after = 10

    async def loads(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.load, words_of(old, 2, "nits", lambda i: i == 3)):
            pass
        while len(asked) < offered_after:
            await ctx.tick()
        async for _ in tb.feed(ctx, core.load, words_of(new, 2, "nits", lambda i: i == 2)):
            loaded.append(tb.cycle)

    async def asks(ctx: Any) -> None:
        async for _ in tb.feed(ctx, core.query, words_of(queries, 2, "nits", lambda _: False)):
            asked.append(tb.cycle)
            if len(asked) == offered_after:
                await ctx.tick().repeat(20)

    tb.add(loads)
    tb.add(asks)
    model = [word for i, query in enumerate(queries) for word in scored(core, query, old if i < 3 else new)]
    got, _ = tb.receive(core.scores, len(model), score_rate)
    tb.run()
    assert got == model
    assert asked[11] < loaded[0]
    assert loaded[-1] < asked[12]


def evaluated(*values: Value) -> list[int]:
    """Evaluate expressions of constants."""
    found: list[int] = []

    async def read(ctx: Any) -> None:
        found.extend(ctx.get(value) for value in values)

    simulator = Simulator(Module())
    simulator.add_testbench(read)
    simulator.run()
    return found


def test_magnitude_and_sign_of_each_nit() -> None:
    found = evaluated(*(signed_magnitude(Const(nit, signed(4))) for nit in range(-4, 5)))
    assert found == [abs(nit) | (nit < 0) << 3 for nit in range(-4, 5)]


def test_the_steps_of_a_fill_visit_every_entry_and_return() -> None:
    steps = [evaluated(*fill_step(Const(step, 4))) for step in range(16)]
    assert sorted(index for index, _, _ in steps) == list(range(16))
    for (index, change, subtract), (after, *_) in zip(steps, [*steps[1:], steps[0]], strict=True):
        assert change.bit_count() == 1
        assert after == index ^ change
        assert bool(subtract) == bool(index & change)


@pytest.mark.parametrize("operands", [1, 2, 3, 8, 11, 37])
def test_a_chained_tree_adds_operands_and_carries(operands: int) -> None:
    core = ChainedTree(4, operands)
    random = Random(operands)
    sets = [[(15, 1)] * operands, [(0, 0)] * operands, [(15, 0)] * operands, [(0, 1)] * operands]
    for _ in range(40):
        sets.append([(random.choice([0, 15, random.randrange(16)]), random.getrandbits(1)) for _ in range(operands)])
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
    ("given", "message"),
    [
        ({"dimensions": 0}, "dimensions must be an integer from 4 to 4096, not 0"),
        ({"dimensions": "8"}, "dimensions must be an integer from 4 to 4096, not '8'"),
        ({"dimensions": 10, "width": 1}, "dimensions must be a multiple of 4, which 10 is not"),
        ({"lanes": 2}, "lanes must be an integer from 4 to 16384, not 2"),
        ({"lanes": 6}, "lanes must be a multiple of 4, which 6 is not"),
        ({"lanes": 12}, "lanes must divide dimensions (8) or be a multiple of it, which 12 does not"),
        ({"width": 0}, "width must be an integer from 1 to 4096, not 0"),
        ({"width": 3}, "width must divide dimensions (8), which 3 does not"),
        ({"width": 8}, "width must divide lanes (4), which 8 does not"),
        ({"depth": 2**20 + 1}, "depth must be an integer from 1 to 1048576, not 1048577"),
        ({"passes": 17}, "passes must be an integer from 1 to 16, not 17"),
        ({"registered": 1}, "registered must be True or False, not 1"),
    ],
)
def test_refusals(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        SignEngine(**{"dimensions": 8, "lanes": 4, "depth": 3, "width": 2, **given})


def test_parameters_and_widths() -> None:
    core = SignEngine(512, 2048, 4096, 8, passes=2)
    assert (core.dimensions, core.lanes, core.depth, core.width, core.passes, core.rows) == (512, 2048, 4096, 8, 2, 4)
    assert core.scores.payload.shape() == coarse_layout(512, 4, 4096)
    assert SignEngine(384, 64, 512, 2).rows == 1
