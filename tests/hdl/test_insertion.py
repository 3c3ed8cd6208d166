import re
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from ninefold.hdl.cores.insertion import Insertion
from ninefold.spec.errors import InputError
from tests.hdl.streams import Testbench

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Batches = list[list[int]]


def words(batches: Batches) -> list[dict[str, int]]:
    return [{"score": s, "id": i, "last": int(i == len(b) - 1)} for b in batches for i, s in enumerate(b)]


def best(batches: Batches, k: int) -> list[tuple[int, int, int]]:
    found = []
    for batch in batches:
        order = sorted(range(len(batch)), key=lambda i, batch=batch: (-batch[i], i))[:k]  # type: ignore[misc]
        found += [(batch[i], i, int(i == order[-1])) for i in order]
    return found


def random_batches(random: Random) -> Batches:
    ranges = [(-128, 127), (-2, 2), (5, 5), (-128, -127), (126, 127)]
    return [
        [random.randint(*random.choice(ranges)) for _ in range(random.choice([1, 2, 7, 8, 9, 30]))] for _ in range(12)
    ]


@pytest.mark.parametrize("k", [1, 2, 7, 8, 20])
@pytest.mark.parametrize("rates", [(1, 1), (1, 0.2), (0.1, 1), (0.5, 0.5)])
def test_batches_under_back_pressure(k: int, rates: tuple[float, float]) -> None:
    core = Insertion(k, 8, 5)
    tb = Testbench(core, seed=k, limit=20_000)
    batches = [*random_batches(tb.random), list(range(-16, 16)), list(range(15, -17, -1)), [3] * 32]
    expected = best(batches, k)
    tb.send(core.scores, words(batches), rates[0])
    got, _ = tb.receive(core.results, len(expected), rates[1])
    tb.run()
    assert got == expected


def test_cycles() -> None:
    k = 6
    core = Insertion(k, 8, 6)
    tb = Testbench(core, seed=1)
    # Each score is the best so far, then none is.
    accepted = tb.send(core.scores, words([list(range(40)), list(range(40, 0, -1))]))
    expected = best([list(range(40)), list(range(40, 0, -1))], k)
    got, cycles = tb.receive(core.results, len(expected))
    tb.run()
    assert got == expected
    gaps = [b - a for a, b in pairwise(accepted)]
    assert set(gaps[k:39]) == {core.interval}
    assert set(gaps[47:]) == {2}
    assert cycles[0] - accepted[39] <= k + 4
    assert {b - a for a, b in pairwise(cycles[:k])} == {1}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0, 8, 8), "k must be an integer from 1 to 256, not 0"),
        ((4, 65, 8), "score_width must be an integer from 1 to 64, not 65"),
        ((4, 8, 0), "id_width must be an integer from 1 to 64, not 0"),
    ],
)
def test_refusals(parameters: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Insertion(*parameters)


def test_the_miner_takes_it_where_it_keeps_up() -> None:
    from ninefold.hdl.configurations import CONFIGURATIONS
    from ninefold.hdl.miner.search import selects_by_insertion

    chosen: dict[str, Any] = {name: selects_by_insertion(c.miner) for name, c in CONFIGURATIONS.items()}
    assert {name for name, by_insertion in chosen.items() if by_insertion} == {
        "icebreaker/small",
        "icebreaker/signs",
        "tangnano9k/small",
        "tangnano9k/signs",
    }
