"""Waves under the scheduler: a device that fails or answers wrongly in the middle changes no wave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.scheduler import Scheduler
from ninefold.sim import golden
from ninefold.spec.data import Answer, State
from ninefold.spec.errors import LostDeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.wave_step import WAVE
from ninefold.spec.operators.wave_step_fixed import LATTICE
from ninefold.spec.residents import state_after
from ninefold.spec.signature import Call

from .fakes import ALL, Behaviour, Fake, FakeDevice, backends

STEPS, FAULT = 6, 3


def computed(call: Call) -> Answer:
    return Answer({}, state=state_after(Cpu().open("portable"), call))


def lost(device: FakeDevice, call: Call) -> Answer:
    if len(device.calls) > FAULT:
        raise LostDeviceError("the link is lost")
    return computed(call)


def still(device: FakeDevice, call: Call) -> Answer:
    """Return the wave as it was, from a step on."""
    if len(device.calls) > FAULT:
        return Answer({}, "fake", {"seconds": 0.0}, call.state().next(dict(call.state().arrays)))
    return computed(call)


def waves() -> dict[str, tuple[State, Mapping[str, Any]]]:
    rng = np.random.default_rng(6)
    psi, v, a = rng.normal(size=(3, 12, 9, 2)).astype(np.float32).view(np.complex64)[..., 0]
    r, s = rng.random((2, 12, 9), np.float32)
    integers = {name: rng.integers(-(2**25), 2**25, (12, 9)).astype(np.int32) for name in ("psi", "v")}
    return {
        "wave_step": (
            WAVE.state("wave", {"psi": psi, "v": v, "a": a, "r": r, "s": s}),
            {"alpha": 0.2, "beta": -0.1, "steps": 3},
        ),
        "wave_step_fixed": (LATTICE.state("lattice", integers), {"steps": 2, "A": 90, "B": -700}),
    }


@pytest.mark.parametrize("operator", ["wave_step", "wave_step_fixed"])
@pytest.mark.parametrize(("behaviour", "why"), [(lost, "the link is lost"), (still, "gpu gave a wrong answer: ")])
def test_a_wave_goes_on_where_it_was(operator: str, behaviour: Behaviour, why: str) -> None:
    state, options = waves()[operator]
    fakes: dict[str, Any] = {**backends(Fake("gpu", behaviour)), "cpu": Cpu("portable")}
    with Scheduler(backends=fakes, operators=ALL, costs=None, check_every=1) as s:
        wave = s.load(state)
        results = [s.run(operator, wave, device="gpu", **options) for _ in range(STEPS)]
        moved = wave.state
    assert [result.answered_by for result in results[: FAULT + 1]] == ["gpu"] * FAULT + ["cpu"]
    assert why in results[FAULT].fallbacks[0]
    assert moved.version == STEPS
    wanted = state
    for _ in range(STEPS):
        call = OPERATORS[operator].bind({"state": wanted}, options)
        wanted = wanted.next(golden.step(call)[1])
    for name, array in wanted.arrays.items():
        if operator == "wave_step":
            # Six calls of three steps in float32; a step that was missed or repeated would show as about 0.1.
            assert np.abs(np.asarray(moved.arrays[name]) - array).max() < 1e-4, name
        else:
            assert np.array_equal(moved.arrays[name], array), name
