"""The top-k miner against a sorted list, in Amaranth's simulator."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, pairwise

import pytest
from amaranth.lib import wiring
from amaranth.sim import Simulator, SimulatorContext

from ninefold.hdl.cores.topk import TopK
from ninefold.spec.errors import InputError

# A component that is made in order to be refused is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Batch = list[tuple[int, int]]
Result = tuple[int, int, int]


def expected(batches: list[Batch], k: int) -> list[Result]:
    """Return the results of all batches: a stable sort keeps equal scores in order of arrival."""
    results = []
    for batch in batches:
        best = sorted(batch, key=lambda entry: -entry[0])[:k]
        results += [(score, ident, int(i == len(best) - 1)) for i, (score, ident) in enumerate(best)]
    return results


@dataclass
class Run:
    """Record of one simulation: results, and the cycles in which words were accepted."""

    results: list[Result] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)


def run(core: TopK, batches: list[Batch], offers: Callable[[], bool], takes: Callable[[], bool]) -> Run:
    """Stream `batches` through the core; `offers` and `takes` say each cycle whether either side is willing."""
    seen = Run()
    words = [(*entry, int(i == len(batch) - 1)) for batch in batches for i, entry in enumerate(batch)]
    wanted = sum(min(core.k, len(batch)) for batch in batches)
    limit = 400 * len(words) + 10 * core.k + 1000

    async def tb(ctx: SimulatorContext) -> None:
        pending: Iterator[Result] = iter(words)
        word = next(pending, None)
        offered = False
        idle = 0
        for now in range(limit):
            offered = word is not None and (offered or offers())
            taking = takes()
            ctx.set(core.scores.valid, offered)
            ctx.set(core.results.ready, taking)
            if offered and word is not None:
                ctx.set(core.scores.payload, dict(zip(("score", "id", "last"), word, strict=True)))
            _, _, ready, valid, payload = await ctx.tick().sample(
                core.scores.ready, core.results.valid, core.results.payload
            )
            if offered and ready:
                seen.accepted.append(now)
                word, offered = next(pending, None), False
            if valid and taking:
                seen.results.append((payload.score, payload.id, payload.last))
                seen.delivered.append(now)
            # Some cycles more, so that a result too many would be seen.
            idle = idle + 1 if len(seen.results) >= wanted else 0
            if idle > 3 * core.k + 20:
                return

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(tb)
    simulator.run()
    return seen


def random_batches(rng: random.Random, core: TopK, sizes: list[int], spread: int | None = None) -> list[Batch]:
    """Return batches of those sizes; scores from the whole range, or from `spread` values around its middle."""
    low = -(1 << (core.score_width - 1)) if core.signed else 0
    count = 1 << core.score_width
    if spread is not None:
        low, count = low + (count - spread) // 2, spread
    return [[(low + rng.randrange(count), rng.randrange(1 << core.id_width)) for _ in range(n)] for n in sizes]


def always() -> bool:
    return True


def chance(rng: random.Random, probability: float) -> Callable[[], bool]:
    return lambda: rng.random() < probability


@pytest.mark.parametrize("k", [1, 2, 3, 8, 13])
@pytest.mark.parametrize(("offer", "take"), [(1.0, 1.0), (0.4, 1.0), (1.0, 0.4), (0.6, 0.6), (1.0, 0.05)])
@pytest.mark.parametrize("signed", [True, False])
def test_results_under_random_back_pressure(k: int, offer: float, take: float, signed: bool) -> None:
    rng = random.Random(f"{k} {offer} {take} {signed}")
    core = TopK(k, 5, 10, signed)
    sizes = [1, 1, k, k + 1, max(1, k - 1), 1, 2 * k, 3 * k + 2, *(rng.randint(1, 3 * k + 1) for _ in range(8))]
    batches = random_batches(rng, core, sizes)
    assert run(core, batches, chance(rng, offer), chance(rng, take)).results == expected(batches, k)


@pytest.mark.parametrize("blocked", [7, 60, 200])
@pytest.mark.parametrize("k", [4, 20])
def test_results_blocked_for_long_and_released_in_bursts(k: int, blocked: int) -> None:
    rng = random.Random(blocked)
    core = TopK(k, 6, 10)
    batches = random_batches(rng, core, [rng.choice([k, k + 1, 2 * k, 1]) for _ in range(12)])
    burst = cycle([False] * blocked + [True] * rng.randint(1, 2 * k) + [False] * blocked + [True])
    assert run(core, batches, always, lambda: next(burst)).results == expected(batches, k)


@pytest.mark.parametrize("spread", [1, 2])
def test_ties_rank_by_arrival(spread: int) -> None:
    rng = random.Random(spread)
    core = TopK(5, 6, 12)
    batches = random_batches(rng, core, [5, 20, 3, 40, 1, 12], spread)
    assert run(core, batches, always, chance(rng, 0.7)).results == expected(batches, 5)


@pytest.mark.parametrize("signed", [True, False])
def test_the_lowest_score_and_zero_compete(signed: bool) -> None:
    core = TopK(4, 4, 4, signed)
    low, high = (-8, 7) if signed else (0, 15)
    batches: list[Batch] = [[(low, 1), (low, 2)], [(low, 3)] * 6, [(0, 4), (low, 5), (high, 6)], [(low, 7)], [(0, 8)]]
    assert run(core, batches, always, always).results == expected(batches, 4)


@pytest.mark.parametrize("k", [1, 2, 4, 5, 11, 12, 19, 20])
def test_no_bubble_between_batches_of_k_or_more(k: int) -> None:
    rng = random.Random(k)
    core = TopK(k, 8, 8)
    sizes = [k] * 6 + [k + n for n in range(k + 3)] + [2 * k, k, k]
    batches = random_batches(rng, core, sizes)
    seen = run(core, batches, always, always)
    assert seen.results == expected(batches, k)
    assert seen.accepted == list(range(sum(sizes)))


def test_a_shorter_batch_waits_for_the_results_before_it() -> None:
    k = 6
    rng = random.Random(0)
    core = TopK(k, 8, 8)
    sizes = [20, 1, 1, 3, 2, 2, 9, 4, 4, 5]
    batches = random_batches(rng, core, sizes)
    seen = run(core, batches, always, always)
    assert seen.results == expected(batches, k)
    ends = [seen.accepted[sum(sizes[: i + 1]) - 1] for i in range(len(sizes))]
    assert ends[2] == ends[0] + 2  # the entrance holds two scores
    # From then on a batch takes max(n, results of the one before).
    periods = [max(n, min(k, before)) for before, n in pairwise(sizes)]
    assert seen.delivered[-1] == seen.accepted[sizes[0] - 1] + sum(periods) + core.latency + sizes[-1] - 1


@pytest.mark.parametrize("k", [1, 2, 7, 32])
def test_latency(k: int) -> None:
    core = TopK(k, 8, 8)
    batches = random_batches(random.Random(k), core, [2 * k])
    seen = run(core, batches, always, always)
    assert seen.delivered == [seen.accepted[-1] + core.latency + i for i in range(k)]


def test_latency_is_what_the_docstring_says() -> None:
    assert [TopK(k, 4, 4).latency for k in (1, 5, 6, 8, 64, 256)] == [8, 14, 15, 17, 87, 331]


@pytest.mark.parametrize("k", [64, 100])
def test_large_k(k: int) -> None:
    rng = random.Random(k)
    core = TopK(k, 10, 9)
    batches = random_batches(rng, core, [k, k - 1, k + 40])
    assert run(core, batches, always, chance(rng, 0.8)).results == expected(batches, k)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 0}, "k must be an integer from 1 to 256, not 0"),
        ({"k": 257}, "k must be an integer from 1 to 256, not 257"),
        ({"k": True}, "k must be an integer from 1 to 256, not True"),
        ({"score_width": 0}, "score_width must be an integer from 1 to 64, not 0"),
        ({"id_width": 65}, "id_width must be an integer from 1 to 64, not 65"),
        ({"id_width": "4"}, "id_width must be an integer from 1 to 64, not '4'"),
        ({"signed": 1}, "signed must be True or False, not 1"),
    ],
)
def test_refused_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        TopK(**({"k": 4, "score_width": 8, "id_width": 8} | parameters))  # type: ignore[arg-type]
    assert str(refusal.value) == message


def test_is_a_component_with_its_parameters() -> None:
    core = TopK(k=3, score_width=7, id_width=2, signed=False)
    assert isinstance(core, wiring.Component)
    assert (core.k, core.score_width, core.id_width, core.signed) == (3, 7, 2, False)
