import re
from itertools import product
from typing import Any

import pytest

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.spec.errors import InputError
from ninefold.spec.formats import MODES, THRESHOLDS, Mode
from tests.hdl.streams import Testbench

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


def quantised(grid: list[int], thresholds: list[int]) -> list[int]:
    return [(-1 if g < 0 else 1) * sum(abs(g) >= t for t in thresholds) for g in grid]


def around(thresholds: tuple[int, ...]) -> list[int]:
    magnitudes = [t + d for t in thresholds for d in (-2, -1, 0, 1, 2)]
    return [s * m for s, m in product((1, -1), magnitudes)] + [0, 1, -1, 32767, -32767, -32768]


def words(values: list[int], lanes: int) -> list[dict[str, Any]]:
    padded = values + [0] * (-len(values) % lanes)
    return [{"grid": padded[i : i + lanes], "last": (i // lanes) % 3 == 1} for i in range(0, len(padded), lanes)]


def expected(sent: list[dict[str, Any]], thresholds: list[int]) -> list[tuple[Any, ...]]:
    return [(quantised(word["grid"], thresholds), int(word["last"])) for word in sent]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("rate_in", "rate_out"), [(1, 1), (1, 0.3), (0.3, 1), (0.6, 0.6)])
@pytest.mark.parametrize("lanes", [1, 4])
def test_values_around_every_threshold_under_back_pressure(
    mode: Mode, lanes: int, rate_in: float, rate_out: float
) -> None:
    core = Quantiser(mode, lanes)
    thresholds = THRESHOLDS[mode].reached_at
    tb = Testbench(core, seed=11)
    values = around(thresholds)
    tb.random.shuffle(values)
    sent = words(values + around(thresholds), lanes)
    tb.send(core.values, sent, rate_in)
    got, _ = tb.receive(core.nits, len(sent), rate_out)
    tb.run()
    assert got == expected(sent, list(thresholds))


def test_hand_worked_values() -> None:
    core = Quantiser("linear", 6)
    tb = Testbench(core, seed=0)
    # 2048 and 14336 lie half way between two nits and go toward zero.
    tb.send(core.values, [{"grid": [2048, 2049, -14336, -14337, 32767, -32768], "last": 1}])
    got, _ = tb.receive(core.nits, 1)
    tb.run()
    assert got == [([0, 1, -3, -4, 4, -4], 1)]


@pytest.mark.parametrize("rate_out", [1, 0.3])
def test_a_threshold_holds_from_the_cycle_of_its_write(rate_out: float) -> None:
    core = Quantiser("tanh", 2)
    tb = Testbench(core, seed=5)
    sent = words([tb.random.choice([-32768, -600, -40, 0, 39, 40, 41, 700, 32767]) for _ in range(600)], 2)
    accepted = tb.send(core.values, sent, 0.8)
    # They need not ascend, and the whole unsigned range counts: 32768 is reached by -32768 alone.
    writes = [(i, t) for t in (0, 40, 41, 700, 32768, 65535) for i in (3, 0, 2, 1)]
    written = tb.send(core.threshold, [{"index": i, "value": t} for i, t in writes], 0.08)
    got, _ = tb.receive(core.nits, len(sent), rate_out)
    tb.run()

    assert written[-1] < accepted[-1]
    model = []
    for word, cycle in zip(sent, accepted, strict=True):
        thresholds = list(THRESHOLDS["tanh"].reached_at)
        for (index, value), when in zip(writes, written, strict=True):
            if when <= cycle:
                thresholds[index] = value
        model.append((quantised(word["grid"], thresholds), int(word["last"])))
    assert got == model


def test_cycles() -> None:
    core = Quantiser("tanh", 1)
    tb = Testbench(core, seed=0)
    accepted = tb.send(core.values, words(list(range(50)), 1))
    _, cycles = tb.receive(core.nits, 50)
    tb.run()
    assert accepted == list(range(accepted[0], accepted[0] + 50))
    assert cycles == [cycle + 5 for cycle in accepted]


def test_ready_does_not_follow_the_sink_within_a_cycle() -> None:
    core = Quantiser("tanh", 1)
    tb = Testbench(core, seed=0)

    async def stall(ctx: Any) -> None:
        ctx.set(core.values.valid, 1)
        await ctx.tick().repeat(20)
        for ready in (0, 1, 0):
            ctx.set(core.nits.ready, ready)
            assert ctx.get(core.nits.valid)
            assert not ctx.get(core.values.ready)

    tb.add(stall)
    tb.run()


@pytest.mark.parametrize(
    ("mode", "lanes", "message"),
    [
        ("sigmoid", 4, "mode must be one of tanh, linear, not 'sigmoid'"),
        (None, 4, "mode must be one of tanh, linear, not None"),
        ("tanh", 0, "lanes must be an integer from 1 to 4096, not 0"),
        ("tanh", 4097, "lanes must be an integer from 1 to 4096, not 4097"),
        ("tanh", 2.0, "lanes must be an integer from 1 to 4096, not 2.0"),
        ("tanh", True, "lanes must be an integer from 1 to 4096, not True"),
    ],
)
def test_refusals(mode: Any, lanes: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Quantiser(mode, lanes)


def test_parameters_are_attributes() -> None:
    core = Quantiser("linear", 3)
    assert (core.mode, core.lanes) == ("linear", 3)
