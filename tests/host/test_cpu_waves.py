"""Waves on lattices that the processor divides: as the golden model has them, and the same bits on several threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu, wave_step
from ninefold.sim import golden
from ninefold.spec.data import State
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.wave_step import WAVE
from ninefold.spec.operators.wave_step_fixed import LATTICE
from ninefold.spec.residents import state_after

MOVING = ("psi", "v", "a")


def advanced(state: State, operator: str, threads: int, **options: Any) -> State:
    device = Cpu(threads=threads).open()
    return state_after(device, OPERATORS[operator].bind({"state": state}, options))


def assert_same(state: State, operator: str, **options: Any) -> State:
    one, three = (advanced(state, operator, threads, **options) for threads in (1, 3))
    for name, array in one.arrays.items():
        assert array.tobytes() == three.arrays[name].tobytes(), name
    return one


def wave(shape: tuple[int, ...]) -> State:
    rng = np.random.default_rng(len(shape))
    moving = {name: rng.normal(0, 1, (*shape, 2)).astype(np.float32).view(np.complex64)[..., 0] for name in MOVING}
    return WAVE.state("wave", {**moving, **{name: rng.random(shape).astype(np.float32) for name in ("r", "s")}})


SHAPES = [(300_001,), (3, 100_003), (520, 530), (100, 3, 700), (64, 66, 65), (2, 90, 5, 300)]
#: Axes of a few cells, whose borders are found by tables: odd lengths, and several in one vector.
SHORT = [(20_003, 3), (6007, 9), (40, 15, 3, 2, 4, 5), (700, 2, 2, 2, 7)]


# Several steps are done while planes are in the cache: eight at once, then the rest.
@pytest.mark.parametrize("shape", [*SHAPES, *SHORT])
@pytest.mark.parametrize("steps", [1, 10])
def test_complex_waves_on_threads_and_in_planes(shape: tuple[int, ...], steps: int) -> None:
    state, options = wave(shape), {"steps": steps, "alpha": 0.2, "beta": -0.1}
    found = assert_same(state, "wave_step", **options)
    _, wanted = golden.step(OPERATORS["wave_step"].bind({"state": state}, options))
    for name in MOVING:
        # Rounding to float32 alone; a neighbour of another step would differ by about 0.1.
        assert np.abs(found.arrays[name] - wanted[name]).max() < 5e-5, name


def test_complex_waves_in_several_calls_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    state, options = wave((40, 500)), {"steps": 11, "beta": -0.1}
    whole = advanced(state, "wave_step", 1, **options)
    for cells in (1, 3 * 20_000):
        monkeypatch.setattr(wave_step, "_CELLS", cells)
        parts = advanced(state, "wave_step", 1, **options)
        for name in MOVING:
            # A call starts from the velocity, not from the one half a step ahead, so that the last bits differ.
            assert np.abs(parts.arrays[name] - whole.arrays[name]).max() < 5e-5, name


def test_waves_of_integers() -> None:
    rng = np.random.default_rng(4)
    psi, v = rng.integers(-(2**26), 2**26, (2, 1031, 640)).astype(np.int32)
    assert_same(LATTICE.state("lattice", {"psi": psi, "v": v}), "wave_step_fixed", steps=3, A=100, B=-3000)
