"""Spot checks of steps of waves pass every golden step, and see wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.host.backends.cpu import Cpu
from ninefold.sim import golden
from ninefold.sim.conformance import Sequence
from ninefold.spec.data import Answer, State
from ninefold.spec.residents import state_after
from ninefold.spec.signature import Call
from tests.conformance.cases import cases_of

OPERATORS = ("wave_step", "wave_step_fixed")


def first(operator: str, case: str) -> tuple[Call, State]:
    """Return the first step of a sequence, and the state after it."""
    sequence = cases_of(operator)[case]
    assert isinstance(sequence, Sequence)
    call = sequence.call(sequence.state, sequence.steps[0])
    return call, call.state().next(golden.step(call)[1])


def flaw(call: Call, state: State, seed: int = 1) -> str:
    return hooks.check(call, Answer({}, state=state), np.random.default_rng(seed))


def changed(call: Call, state: State, **arrays: Any) -> State:
    return call.state().next({**state.arrays, **arrays})


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_golden_step_passes(operator: str) -> None:
    for case in cases_of(operator):
        call, state = first(operator, case)
        assert [flaw(call, state, seed) for seed in range(3)] == [""] * 3, case


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_state_that_did_not_move_is_seen(operator: str) -> None:
    case = next(name for name in cases_of(operator) if "7" in name)
    call, _ = first(operator, case)
    assert any(flaw(call, call.state().next(dict(call.state().arrays)), seed) for seed in range(3))


def test_waves_that_are_wrong() -> None:
    call, state = first("wave_step", "extents (5, 6, 7)")
    arrays = {name: np.asarray(array) for name, array in state.arrays.items()}
    assert "the acceleration of cell" in flaw(call, changed(call, state, a=arrays["a"] * np.float32(1.001)))
    assert "r of the wave changed" in flaw(call, changed(call, state, r=arrays["r"] / 2))
    # A wave that is consistent in itself, but of one step more.
    later = call.state().next(golden.step(call.with_options(steps=2))[1])
    assert flaw(call, later).startswith(("psi of cell", "v of cell"))
    # Of 300 steps too many cells are reached to go back to the start; the acceleration is still compared.
    call, state = first("wave_step", "many steps")
    assert "the acceleration of cell" in flaw(call, changed(call, state, a=np.asarray(state.arrays["v"])))


def test_integers_that_are_wrong() -> None:
    case = next(name for name in cases_of("wave_step_fixed") if "7" in name)
    call, state = first("wave_step_fixed", case)
    for name in ("psi", "v"):
        assert f"{name} of cell" in flaw(call, changed(call, state, **{name: np.asarray(state.arrays[name]) ^ 1}))


def test_an_answer_without_a_state() -> None:
    for operator in OPERATORS:
        call, _ = first(operator, next(iter(cases_of(operator))))
        assert hooks.check(call, Answer({}), np.random.default_rng(1)).startswith("it has no next version of the")


def test_steps_on_a_divided_lattice_pass() -> None:
    rng = np.random.default_rng(2)
    call, _ = first("wave_step", "extents (64, 65)")
    shape = (300, 700)
    moving = {name: rng.normal(size=(*shape, 2)).astype(np.float32).view(np.complex64)[..., 0] for name in ("psi", "v")}
    fixed = {name: rng.random(shape).astype(np.float32) for name in ("r", "s")}
    wave = call.operator.layout_of("state").state("wave", {**moving, "a": moving["psi"], **fixed})
    bound = call.operator.bind({"state": wave}, {"steps": 20, "alpha": 0.1, "beta": -0.1})
    state = state_after(Cpu().open(), bound)
    assert [flaw(bound, state, seed) for seed in range(20)] == [""] * 20


def growing(psi: float, beta: float, steps: int) -> Call:
    """Return a call whose wave grows without bound where beta is positive."""
    layout = first("wave_step", "many steps")[0].operator.layout_of("state")
    zeros = {"v": np.zeros(16, np.complex64), "a": np.zeros(16, np.complex64)}
    fixed = {name: np.zeros(16, np.float32) for name in ("r", "s")}
    wave = layout.state("wave", {"psi": np.full(16, psi, np.complex64), **zeros, **fixed})
    return first("wave_step", "many steps")[0].operator.bind({"state": wave}, {"steps": steps, "dt": 0.5, "beta": beta})


# From psi = 1e12 the numbers are within the range of float32 for one step, and then neither here nor there.
@pytest.mark.parametrize(("psi", "steps"), [(1e3, 1), (1e3, 4), (1e3, 50), (1e12, 1), (1e12, 2), (1e13, 1)])
def test_a_wave_without_bound_passes(psi: float, steps: int) -> None:
    call = growing(psi, 1.0, steps)
    with np.errstate(over="ignore"):
        golden_state = call.state().next(golden.step(call)[1])
    state = state_after(Cpu().open(), call)
    for seed in range(5):
        assert flaw(call, state, seed) == ""
        assert flaw(call, golden_state, seed) == ""


def test_a_bounded_wave_that_is_not_a_number_is_seen() -> None:
    call = growing(1.0, -0.1, 5)
    nan = np.full(16, np.nan, np.complex64)
    assert "psi of cell" in flaw(call, changed(call, call.state(), psi=nan, v=nan, a=nan))
