"""Waves on several threads of the processor: the same bits as on one, on lattices that are divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.spec.data import State
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.wave_step import WAVE
from ninefold.spec.operators.wave_step_fixed import LATTICE
from ninefold.spec.residents import load_and_run


def advanced(state: State, operator: str, threads: int, **options: Any) -> State:
    device = Cpu(threads=threads).open()
    answer = load_and_run(device, OPERATORS[operator].bind({"state": state}, options)).state
    assert isinstance(answer, State)
    return answer


def assert_same(state: State, operator: str, **options: Any) -> None:
    one, three = (advanced(state, operator, threads, **options) for threads in (1, 3))
    for name, array in one.arrays.items():
        assert array.tobytes() == three.arrays[name].tobytes(), name


@pytest.mark.parametrize("shape", [(300_001,), (3, 100_003), (520, 530), (64, 66, 65)])
def test_complex_waves(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    moving = {name: rng.normal(0, 1, shape).astype(np.complex64) for name in ("psi", "v", "a")}
    fixed = {name: rng.random(shape).astype(np.float32) for name in ("r", "s")}
    assert_same(WAVE.state("wave", {**moving, **fixed}), "wave_step", steps=3, alpha=0.2, beta=-0.1)


def test_waves_of_integers() -> None:
    rng = np.random.default_rng(4)
    psi, v = rng.integers(-(2**26), 2**26, (2, 1031, 640)).astype(np.int32)
    assert_same(LATTICE.state("lattice", {"psi": psi, "v": v}), "wave_step_fixed", steps=3, A=100, B=-3000)
