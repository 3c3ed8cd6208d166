"""Operators and structures of the wave family beside other libraries.

Steps of a wave beside NumPy's rolled arrays, SciPy's ndimage, Numba and a copy of the same bytes; indices along Hilbert
curves; linear state-space models; host structures.

Run with ``ninefold bench waves``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.data import State
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.wave_step import WAVE
from ninefold.spec.protocols import Device
from ninefold.spec.residents import state_after
from ninefold.spec.signature import Call

from .curves import curve_figures
from .devices import opened
from .limits import limited
from .phases import phase_figures
from .scans import scan_figures
from .structures import grid_figures
from .timing import Times, interleaved

__all__ = ["waves"]

_Array = npt.NDArray[Any]
#: Lattices, steps of a run, and repetitions. Runs continue a wave that its device keeps.
_PLANS: Final[Mapping[Size, tuple[tuple[tuple[int, ...], ...], int, int]]] = {
    "tiny": (((9, 8), (3,) * 4), 10, 3),
    "small": (((100_000,), (316, 316), (46, 46, 47), (4, 3) * 4 + (4,)), 50, 9),
    "large": (((10_000_000,), (3162, 3162), (215, 215, 215), (6,) * 9), 10, 3),
}
_DT, _BETA, _SEED, _BUDGET_S = 0.1, -0.1, 9, 10.0
_ROLLED, _NDIMAGE, _NUMBA, _COPY = "numpy rolled", "scipy ndimage", "numba", "numpy copy"
#: Bytes of a cell that a step must read and write: psi, v and c0^2 / (1 + s)^2 are read, psi and v are written.
_BYTES = 8 + 8 + 4 + 8 + 8
_TARGET: Final = "<= 1"
_ROOFLINE: Final = ">= 0.6"


def _measure(request: Request) -> list[Figure]:
    shapes, steps, repetitions = _PLANS[request.size]
    figures: list[Figure] = []
    for package in ("scipy", "numba"):
        if importlib.util.find_spec(package) is None:
            request.note(f"waves: {package} is skipped: it is not installed; pip install {package}")
    with limited(request), opened(request, ("cpu", "opencl")) as devices, ThreadPoolExecutor(request.threads) as pool:
        for shape in shapes:
            state = _wave(shape)
            call = OPERATORS["wave_step"].bind({"state": state}, {"steps": steps, "dt": _DT, "beta": _BETA})
            peers = _peers(state, steps)
            contenders: dict[str, Callable[[], object]] = {**peers}
            wanted = peers[_ROLLED]().copy()
            found = {name: run() for name, run in peers.items() if name != _ROLLED}
            for name, device in devices.items():
                contenders[name], found[name] = _Run(device, call), state_after(device, call).arrays["psi"]
            for name, psi in found.items():
                if not np.abs(psi - wanted).max() <= 1e-4 * np.abs(wanted).max():
                    raise DeviceError(f"{name} and {_ROLLED} differ after {steps} steps on {shape}")
            contenders[_COPY] = _copier(wanted.size, steps, pool, request.threads)
            times = interleaved(contenders, repetitions, _BUDGET_S)
            figures += _figures(times, tuple(devices), shape, steps, tested=request.size != "tiny")
    return [*figures, *curve_figures(request), *scan_figures(request), *grid_figures(request), *phase_figures(request)]


class _Run:
    """Steps of a wave that a device keeps; each call starts where the one before ended."""

    def __init__(self, device: Device, first: Call) -> None:
        self._device, self._first = device, first
        self._version = first.state().version + 1

    def __call__(self) -> None:
        first = self._first
        kept = State(first.state().id, self._version, {}, {})
        self._device.run(Call(first.operator, {**first.arguments, "state": kept}, first.options, first.sizes))
        self._version += 1


def _wave(shape: tuple[int, ...]) -> State:
    rng = np.random.default_rng(_SEED)

    def drawn() -> npt.NDArray[np.complex64]:
        parts = rng.standard_normal((*shape, 2), np.float32)
        return parts.view(np.complex64).reshape(shape)

    r, s = (rng.random(shape, np.float32) for _ in range(2))
    return WAVE.state("wave", {"psi": drawn(), "v": drawn(), "a": drawn(), "r": r, "s": s})


def _peers(state: State, steps: int) -> dict[str, Callable[[], _Array]]:
    """Return functions that advance a wave of their own by all steps, from where it was, and return psi."""
    psi, v, a, s = (state.arrays[name] for name in ("psi", "v", "a", "s"))
    speed, dt, beta = (1 / (1 + s) ** 2).astype(np.float32), np.float32(_DT), np.float32(_BETA)
    axes = range(psi.ndim)

    def rolled(x: _Array) -> _Array:
        total: _Array = x * np.float32(-2 * x.ndim)
        for axis in axes:
            total += np.roll(x, 1, axis)
            total += np.roll(x, -1, axis)
        return total

    def convolved(x: _Array) -> _Array:
        from scipy import ndimage

        total = np.zeros_like(x)
        for axis in axes:
            total += ndimage.convolve1d(x, np.array([1, -2, 1], np.float32), axis, mode="wrap")
        return total

    def advancing(laplacian: Callable[[_Array], _Array]) -> Callable[[], _Array]:
        x: _Array = psi.copy()
        ahead = v + a * (dt / 2)

        def run() -> _Array:
            nonlocal x, ahead
            for _ in range(steps):
                x += ahead * dt
                ahead += (speed * laplacian(x) + beta * (x.real**2 + x.imag**2) * x) * dt
            return x

        return run

    peers = {_ROLLED: advancing(rolled)}
    if importlib.util.find_spec("scipy") is not None:
        peers[_NDIMAGE] = advancing(convolved)
    if importlib.util.find_spec("numba") is not None:
        peers[_NUMBA] = _by_numba(psi, v, a, speed, steps)
    return peers


def _by_numba(psi: _Array, v: _Array, a: _Array, speed: _Array, steps: int) -> Callable[[], _Array]:
    """Return the steps as a parallel loop over cells, compiled by Numba."""
    import numba

    extents, dt, beta, axes = np.array(psi.shape), np.float32(_DT), np.float32(_BETA), psi.ndim

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator,unused-ignore]
    def force(x: _Array, ahead: _Array, k: _Array) -> None:
        for i in numba.prange(x.size):
            total, stride = x[i] * np.float32(-2 * axes), 1
            for axis in range(axes - 1, -1, -1):
                extent = extents[axis]
                index = i // stride % extent
                total += x[i + stride if index + 1 < extent else i - index * stride]
                total += x[i - stride if index else i + (extent - 1) * stride]
                stride *= extent
            ahead[i] += (k[i] * total + beta * (x[i].real ** 2 + x[i].imag ** 2) * x[i]) * dt

    x, ahead = psi.copy().reshape(-1), (v + a * (dt / 2)).reshape(-1)

    def run() -> _Array:
        nonlocal x, ahead
        for _ in range(steps):
            x += ahead * dt
            force(x, ahead, speed.reshape(-1))
        return x.reshape(psi.shape)

    return run


def _copier(cells: int, steps: int, pool: ThreadPoolExecutor, threads: int) -> Callable[[], _Array]:
    """Return a function that copies, with all threads, as many bytes as the steps read and write."""
    source = np.ones(cells * _BYTES // 2, np.uint8)
    target = np.empty_like(source)
    parts = [slice(len(source) * i // threads, len(source) * (i + 1) // threads) for i in range(threads)]

    def copy() -> _Array:
        for _ in range(steps):
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
        return target

    return copy


def _figures(
    times: Times, devices: tuple[str, ...], shape: tuple[int, ...], steps: int, *, tested: bool
) -> list[Figure]:
    """Return the times beside each peer, and the bytes moved a second beside a copy."""
    extents = " x ".join(map(str, shape))
    cells = int(np.prod(shape))
    parameters: dict[str, Parameter] = {"extents": extents, "cells": cells, "steps": steps}
    task = f"{steps} steps of a wave on {extents}"
    figures = []
    peers = [peer for peer in (_ROLLED, _NDIMAGE, _NUMBA) if peer in times.seconds]
    for name in devices:
        for peer in peers:
            quantity = "time" if peer == _ROLLED else f"time beside {peer}"
            target = _TARGET if name == "cpu" and tested else ""
            figures.append(
                times.figure("waves", name, parameters, quantity=quantity, beside=peer, target=target, task=task)
            )
        moved = cells * _BYTES * steps
        rates = [moved / seconds / 1e9 for seconds in times.seconds[name]]
        copies = [moved / seconds / 1e9 for seconds in times.seconds[_COPY]]
        figures.append(
            Figure.timed(
                "waves",
                name,
                "bytes a second that a step must move",
                rates,
                "GB/s",
                parameters=parameters,
                better="more",
                beside=_COPY,
                ratio=summary(rates)[0] / summary(copies)[0],
                ratio_spread=summary([a / b for a, b in zip(rates, copies, strict=True)])[1],
                target=_ROOFLINE if name == "cpu" and tested else "",
                detail=f"{_BYTES} bytes a cell",
                task=f"{task}, bytes a second",
            )
        )
    figures += [times.figure("waves", peer, parameters, better="") for peer in (*peers, _COPY)]
    return figures


#: Suite that measures the operator ``wave_step`` and the host structures.
waves = Benchmark(_measure, backends=("*",))
