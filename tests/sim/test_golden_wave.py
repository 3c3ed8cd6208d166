"""The golden models of the wave operators against values worked out by hand, and what their signatures refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ninefold.sim import golden
from ninefold.sim.golden.wave_step_fixed import cell
from ninefold.spec.errors import InputError
from ninefold.spec.operators.wave_step_fixed import LATTICE, OPERATOR

ONE = 1 << 24
HALF, UNIT = 1 << 15, 1 << 16
LOW, HIGH = -(2**31), 2**31 - 1


def stepped(psi: Any, v: Any = 0, **options: int) -> tuple[list[Any], list[Any]]:
    """Return psi and v after a call, from a state whose v may be one number."""
    displaced = np.array(psi, np.int32)
    speeds = np.broadcast_to(np.array(v, np.int32), displaced.shape).copy()
    state = LATTICE.state("by hand", {"psi": displaced, "v": speeds})
    values, arrays = golden.step(OPERATOR.bind({"state": state}, options))
    assert values == {}
    return arrays["psi"].tolist(), arrays["v"].tolist()


def test_one_raised_cell_pulls_its_neighbours() -> None:
    # C = T = 1/2: v' = lap / 2, psi' = psi + v' / 2.
    psi, v = stepped([[ONE, 0, 0], [0, 0, 0], [0, 0, 0]], C=HALF, T=HALF)
    assert v == [[-2 * ONE, ONE // 2, ONE // 2], [ONE // 2, 0, 0], [ONE // 2, 0, 0]]
    assert psi == [[0, ONE // 4, ONE // 4], [ONE // 4, 0, 0], [ONE // 4, 0, 0]]


def test_an_extent_of_one_is_its_own_neighbour() -> None:
    assert stepped([[5 * ONE]], 7, C=UNIT, T=UNIT) == ([[5 * ONE + 7]], [[7]])
    # The left and the right neighbour of two cells are the same cell.
    psi, v = stepped([[4, 0]], C=UNIT, T=0)
    assert (psi, v) == ([[4, 0]], [[-8, 8]])


def test_damping_and_the_cube() -> None:
    assert stepped([[0]], 8 * ONE, A=UNIT // 4, T=0)[1] == [[6 * ONE]]
    # B = -1: the force is -(3/2)^3 = -27/8.
    assert stepped([[3 * ONE // 2]], B=-UNIT, T=0)[1] == [[-27 * ONE // 8]]


def test_half_rounds_to_even_and_nothing_sinks() -> None:
    # T = 1 / 2**16: psi' = psi + v / 2**16, where a half is 32768.
    halves = [32767, 32768, 32769, 98303, 98304, 98305, -32767, -32768, -32769, -98304, -98305]
    psi, _ = stepped([[0] * 11], [halves], C=0, T=1)
    assert psi == [[0, 0, 1, 1, 2, 2, 0, 0, -1, -2, -2]]


@pytest.mark.parametrize(
    ("psi", "v", "factors", "after"),
    [
        (HIGH, 1, (0, 0, 0, UNIT), (HIGH, 1)),
        (LOW, -1, (0, 0, 0, UNIT), (LOW, -1)),
        (0, HIGH, (-UNIT, 0, 0, 0), (0, HIGH)),
        (0, LOW, (-UNIT, 0, 0, 0), (0, LOW)),
        # The square saturates below 2**31; its cube does from 2**(24 + 7 / 3) on.
        (HIGH, 0, (0, 1, 0, 0), (HIGH, 32768)),
        (LOW, 0, (0, 1, 0, 0), (LOW, -32768)),
        (84551870, 0, (0, UNIT, 0, 0), (84551870, 2147483616)),
        (84551871, 0, (0, UNIT, 0, 0), (84551871, HIGH)),
    ],
)
def test_saturation(psi: int, v: int, factors: tuple[int, int, int, int], after: tuple[int, int]) -> None:
    assert cell(psi, v, [psi] * 4, factors) == after


def test_several_steps_are_steps_one_after_the_other() -> None:
    rng = np.random.default_rng(3)
    psi, v = rng.integers(-ONE, ONE, (2, 5, 4))
    once = stepped(psi, v, A=90, B=-7000)
    assert stepped(psi, v, A=90, B=-7000, steps=2) == stepped(*once, A=90, B=-7000)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {"A": 2**17}, "A must be an integer from -131072 to 131071, not 131072"),
        ({}, {"T": 0.5}, "T must be an integer from -131072 to 131071, not 0.5"),
        ({}, {"steps": 0}, "steps must be an integer from 1 to 1000000, not 0"),
        ({"psi": np.zeros((0, 4), np.int32), "v": np.zeros((0, 4), np.int32)}, {}, "H must be 1 to 32768, not 0"),
        ({"v": np.zeros((4, 5), np.int32)}, {}, "lattice.v must have W = 4, not 5 (shape (4, 5))"),
        ({"psi": np.zeros((4, 4))}, {}, "lattice.psi must have dtype int32, not float64"),
    ],
)
def test_refusals(arrays: dict[str, Any], options: dict[str, Any], message: str) -> None:
    plain = {name: np.zeros((4, 4), np.int32) for name in ("psi", "v")}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        OPERATOR.bind({"state": LATTICE.state("refused", {**plain, **arrays})}, options)
