"""The waves of ``wave_step`` on the processor as physics: energy, dispersion, solitons, order, and time reversal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.cpu.device import CpuDevice
from ninefold.spec.data import State
from ninefold.spec.operators.wave_step import OPERATOR, WAVE
from ninefold.spec.residents import state_after

_Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def device() -> Iterator[CpuDevice]:
    opened = Cpu().open()
    yield opened
    opened.close()


def made(psi: _Array, v: _Array, a: _Array, **fields: _Array) -> State:
    zeros = np.zeros(psi.shape, np.float32)
    moving = {name: array.astype(np.complex64) for name, array in (("psi", psi), ("v", v), ("a", a))}
    return WAVE.state("wave", {**moving, "r": fields.get("r", zeros), "s": fields.get("s", zeros)})


def after(device: CpuDevice, state: State, **options: Any) -> Mapping[str, _Array]:
    moved = state_after(device, OPERATOR.bind({"state": state}, options))
    return {name: np.asarray(array).astype(np.complex128) for name, array in moved.arrays.items()}


def laplacian(psi: _Array) -> _Array:
    axes = range(psi.ndim)
    return sum((np.roll(psi, 1, k) + np.roll(psi, -1, k) for k in axes), np.zeros_like(psi)) - 2 * psi.ndim * psi


def exact(shape: tuple[int, ...], modes: tuple[int, ...], dt: float, c0: float) -> tuple[_Array, float]:
    """Return a plane wave, and the frequency that it has on the lattice in steps of dt."""
    k = [2 * np.pi * mode / extent for mode, extent in zip(modes, shape, strict=True)]
    phase = sum(one * x for one, x in zip(k, np.indices(shape), strict=True))
    square = 4 * c0**2 * sum(np.sin(one / 2) ** 2 for one in k)
    return np.exp(1j * np.asarray(phase)), float(np.arccos(1 - square * dt**2 / 2) / dt)


@pytest.mark.parametrize(("shape", "modes"), [((50,), (7,)), ((12, 18), (5, -2)), ((6, 5, 1, 4), (1, -2, 0, 1))])
def test_a_plane_wave_has_the_frequency_of_the_lattice(
    device: CpuDevice, shape: tuple[int, ...], modes: tuple[int, ...]
) -> None:
    dt, c0, steps = 0.2, 1.3, 500
    psi, omega = exact(shape, modes, dt, c0)
    # Of a wave in steps, v is the central difference, and a the second one.
    v, a = -1j * np.sin(omega * dt) / dt * psi, -(2 - 2 * np.cos(omega * dt)) / dt**2 * psi
    moved = after(device, made(psi, v, a), dt=dt, c0=c0, steps=steps)["psi"]
    # Rounding to float32 adds up to a few parts in a million; a frequency wrong by 1e-6 would show as 1e-4.
    assert np.abs(moved - psi * np.exp(-1j * omega * dt * steps)).max() < 2e-5


def test_a_standing_wave_stands(device: CpuDevice) -> None:
    dt, steps = 0.25, 401
    plane, omega = exact((24, 6), (2, 1), dt, 1.0)
    psi = plane.real
    a = -(2 - 2 * np.cos(omega * dt)) / dt**2 * psi
    moved = after(device, made(psi, 0 * psi, a), dt=dt, steps=steps)["psi"]
    assert np.abs(moved - psi * np.cos(omega * dt * steps)).max() < 2e-5


def energy(state: Mapping[str, _Array]) -> float:
    psi, v = state["psi"], state["v"]
    stretched = sum((np.abs(np.roll(psi, -1, axis) - psi) ** 2).sum() for axis in range(psi.ndim))
    return float(((np.abs(v) ** 2).sum() + stretched) / 2)


def test_energy_drifts_under_a_hundredth_of_a_percent_in_1000_steps(device: CpuDevice) -> None:
    rng = np.random.default_rng(5)
    waves = [exact((24, 20), (m, n), 0.02, 1.0)[0] * rng.normal() for m in (-2, 0, 1) for n in (-1, 1, 2)]
    psi, v = np.sum(waves, axis=0), 0.3 * np.sum(waves[::-1], axis=0)
    state = made(psi, v, laplacian(psi))
    before = energy(state.arrays)
    drift = [abs(energy(after(device, state, dt=0.02, steps=steps)) / before - 1) for steps in (300, 1000)]
    assert max(drift) < 1e-4


def test_damping_takes_the_energy_where_there_is_no_memory(device: CpuDevice) -> None:
    psi = np.ones(40)
    r = np.repeat([0, 1], 20).astype(np.float32)
    # Without neighbours, since c0 is 0: v decays as exp(-alpha t) where r is 0, and stays where it is 1.
    v = after(device, made(psi, psi, -(1 - r), r=r), dt=0.01, c0=0.0, alpha=1.0, steps=200)["v"]
    np.testing.assert_allclose(v[:20], np.exp(-2.0), rtol=1e-4)
    np.testing.assert_allclose(v[20:], 1.0, rtol=1e-5)


def test_stiffness_slows_the_wave(device: CpuDevice) -> None:
    dt, steps = 0.1, 300
    psi, omega = exact((30,), (1,), dt, 0.5)
    v, a = -1j * np.sin(omega * dt) / dt * psi, -(2 - 2 * np.cos(omega * dt)) / dt**2 * psi
    moved = after(device, made(psi, v, a, s=np.ones(30, np.float32)), dt=dt, steps=steps)["psi"]
    assert np.abs(moved - psi * np.exp(-1j * omega * dt * steps)).max() < 2e-5


def soliton(time: float, cells: int = 240, width: float = 10.0) -> tuple[_Array, _Array, float]:
    """Return psi and v of a dark kink and antikink, A = 1, c0 = 1, and beta."""
    beta = -2 / width**2
    x = np.arange(cells) - cells / 4
    shape = np.tanh(x / width) * np.tanh((cells / 2 - x) / width)
    omega = np.sqrt(abs(beta))
    psi = shape * np.exp(1j * omega * time)
    return psi, 1j * omega * psi, beta


def test_a_dark_soliton_keeps_its_shape(device: CpuDevice) -> None:
    dt, steps = 0.1, 1000
    psi, v, beta = soliton(0.0)
    a = laplacian(psi) + beta * np.abs(psi) ** 2 * psi
    moved = after(device, made(psi, v, a), dt=dt, beta=beta, steps=steps)["psi"]
    due, _, _ = soliton(dt * steps)
    assert np.abs(np.abs(moved) - np.abs(due)).max() < 0.01
    # The lattice is the continuum's up to (1 / width)^2 / 12, which the phase sums up.
    assert np.abs(moved - due).max() < 0.03
    # Without the cubic force, the same wave does not keep it.
    free = after(device, made(psi, v, laplacian(psi)), dt=dt, steps=steps)["psi"]
    assert np.abs(np.abs(free) - np.abs(due)).max() > 0.3


def test_the_error_falls_with_the_square_of_the_step(device: CpuDevice) -> None:
    rng = np.random.default_rng(8)
    psi, v = (rng.normal(0, 1, (6, 5)) + 1j * rng.normal(0, 1, (6, 5)) for _ in range(2))
    r, s = (rng.random((6, 5)).astype(np.float32) for _ in range(2))
    terms = {"c0": 1.2, "alpha": 0.7, "beta": -0.5}
    a = 1.2**2 / (1 + s) ** 2 * laplacian(psi) - 0.5 * np.abs(psi) ** 2 * psi - 0.7 * (1 - r) * v
    state = made(psi, v, a, r=r, s=s)
    ends = [after(device, state, dt=1.6 / steps, steps=steps, **terms)["psi"] for steps in (16, 32, 64, 128)]
    changes = [np.abs(one - other).max() for one, other in itertools.pairwise(ends)]
    orders = np.log2(np.array(changes[:-1]) / changes[1:])
    assert ((orders > 1.9) & (orders < 2.1)).all(), orders


def test_time_reversal(device: CpuDevice) -> None:
    rng = np.random.default_rng(9)
    psi, v = (rng.normal(0, 1, (9, 8)) + 1j * rng.normal(0, 1, (9, 8)) for _ in range(2))
    state = made(psi, v, laplacian(psi) - 0.2 * np.abs(psi) ** 2 * psi)
    there = after(device, state, dt=0.1, beta=-0.2, steps=100)
    back = after(device, made(there["psi"], -there["v"], there["a"]), dt=0.1, beta=-0.2, steps=100)
    np.testing.assert_allclose(back["psi"], psi, atol=2e-4)
    np.testing.assert_allclose(-back["v"], v, atol=2e-4)


def test_terms_that_are_not_given_are_zero(device: CpuDevice) -> None:
    psi = np.ones((3, 3))
    force = np.full((3, 3), 0.5, np.complex64)
    call = OPERATOR.bind({"state": made(psi, 0 * psi, 0 * psi), "sources": force}, {"dt": 1.0})
    moved = state_after(device, call)
    assert (moved.arrays["v"] == 0.25).all()
    assert (moved.arrays["a"] == force).all()
