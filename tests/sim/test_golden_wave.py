"""The golden models of the wave operators against values worked out by hand, and what their signatures refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ninefold.sim import golden
from ninefold.sim.golden.wave_step_fixed import cell
from ninefold.spec.errors import InputError
from ninefold.spec.operators import wave_step
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


def wave(shape: tuple[int, ...], **arrays: Any) -> Any:
    """Return a state of zeros, except for some arrays."""
    zeros = {name: np.zeros(shape, np.complex64) for name in ("psi", "v", "a")}
    fixed = {name: np.zeros(shape, np.float32) for name in ("r", "s")}
    return wave_step.WAVE.state("by hand", {**zeros, **fixed, **arrays})


def test_a_step_of_a_complex_wave_by_hand() -> None:
    # psi' = 1 + 2 * 0.5 + 4 * 0.125 = 2.5 in each of two cells, so the Laplacian is 0; v_h = 2 + 4 * 0.25 = 3.
    # F = -0.5 |2.5j|^2 2.5j + 1j = -6.8125j; g = 2 (1 - 0.5) = 1; v = (3j - 1.703125j) / 1.25 = 1.0375j; a = F - v.
    psi, v, a = (np.full(2, value, np.complex64) for value in (1j, 2j, 4j))
    state = wave((2,), psi=psi, v=v, a=a, r=np.full(2, 0.5, np.float32), s=np.ones(2, np.float32))
    terms = {"dt": 0.5, "c0": 3.0, "alpha": 2.0, "beta": -0.5}
    sources = np.full(2, 1j, np.complex64)
    values, after = golden.step(wave_step.OPERATOR.bind({"state": state, "sources": sources}, terms))
    assert values == {}
    assert [complex(after[name][1]) for name in ("psi", "v", "a")] == pytest.approx([2.5j, 1.0375j, -7.85j])
    assert after["r"] is state.arrays["r"]


def test_the_force_of_neighbours_by_hand() -> None:
    # Along the first axis a cell of two has the other as both neighbours; along the third it has itself.
    psi = np.array([[[1.0], [0.0], [0.0]], [[0.0], [0.0], [0.0]]], np.complex64)
    state = wave((2, 3, 1), psi=psi, s=np.full((2, 3, 1), 1.0, np.float32))
    _, after = golden.step(wave_step.OPERATOR.bind({"state": state}, {"dt": 1.0, "c0": 2.0}))
    # c0^2 / (1 + s)^2 = 1.
    assert after["a"][..., 0].real.tolist() == [[-4, 1, 1], [2, 0, 0]]
    assert after["v"][..., 0].real.tolist() == [[-2, 0.5, 0.5], [1, 0, 0]]


@pytest.mark.parametrize(
    ("arrays", "given", "message"),
    [
        ({}, {"dt": 0.0}, "dt must be a number, finite and greater than 0, not 0.0"),
        ({"r": np.full((3, 4), 1.5, np.float32)}, {}, "wave.r must be 0 to 1, not 1.5"),
        ({"s": np.full((3, 4), np.nan, np.float32)}, {}, "wave.s must not contain NaN"),
        ({"v": np.zeros((2, 4), np.complex64)}, {}, "wave.v must have the shape of wave.psi, (3, 4), not (2, 4)"),
        ({"psi": np.zeros((3, 4))}, {}, "wave.psi must have dtype complex64, not float64"),
    ],
)
def test_refusals_of_complex_waves(arrays: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        wave_step.OPERATOR.bind({"state": wave((3, 4), **arrays)}, given)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1,) * 10, "wave.psi must have 1 to 9 axes, not 10"),
        ((3, 0, 4), "extents of wave.psi must be at least 1, not 0 (shape (3, 0, 4))"),
    ],
)
def test_lattices_that_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        wave_step.OPERATOR.bind({"state": wave(shape)})
