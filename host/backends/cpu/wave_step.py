"""``wave_step`` on the CPU, in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.waves import wave_damping, wave_speeds
from ninefold.spec.data import Answer, Kept, State
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = 6
#: Cells that a call of the kernel advances, in well under a second, so that interrupts are handled.
_CELLS = 1 << 28

_Array = npt.NDArray[Any]
#: c0^2 / (1 + s)^2, g dt / 2 and the sources; None for zeros.
_Factors = tuple[_Array, _Array | None, _Array | None]


@dataclass(frozen=True)
class Wave:
    """Wave that steps change in place.

    Attributes
    ----------
    arrays : dict of str to array
        C-contiguous arrays of the state, by name.
    speed, damping : callable
        ``speed(c0)`` and ``damping(alpha, dt)``, as in `ninefold.numerics.waves`; the latest results are kept, since s
        and r do not change.
    """

    arrays: dict[str, _Array]
    speed: Callable[[float], _Array]
    damping: Callable[[float, float], _Array | None]


def load(device: "CpuDevice", state: State) -> Wave:
    """Copy a wave."""
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    speed, damping = partial(_speeds, device.engine.kernel, arrays["s"]), partial(wave_damping, arrays["r"])
    return Wave(arrays, lru_cache(1)(speed), lru_cache(1)(damping))


def _speeds(kernel: Kernel | None, s: _Array, c0: float) -> _Array:
    if kernel is None:
        return wave_speeds(s, c0)
    speed = np.empty_like(s)
    kernel("wave_speeds", s, float(c0**2), s.size, speed)
    return speed


def fetch(_: "CpuDevice", wave: Wave) -> dict[str, _Array]:
    """Return copies of all arrays."""
    return {name: array.copy() for name, array in wave.arrays.items()}


def step(device: "CpuDevice", call: Call) -> Answer:
    """Advance the wave by all steps."""
    state, options, kernel = call.state(), call.options, device.engine.kernel
    with device.timed() as metrics:
        wave = device.residents.form(state, load)
        sources = call.arguments["sources"]
        factors = (
            wave.speed(options["c0"]),
            wave.damping(options["alpha"], options["dt"]),
            None if sources is None else np.ascontiguousarray(sources),
        )
        if kernel is None:
            _by_numpy(wave.arrays, factors, options)
        else:
            _by_kernel(kernel, wave.arrays, factors, options)
    return Answer({}, "numpy" if kernel is None else device.path, metrics, Kept(state.id, state.version + 1))


def _by_kernel(kernel: Kernel, arrays: dict[str, _Array], factors: _Factors, options: Mapping[str, Any]) -> None:
    psi, v, a = (arrays[name] for name in ("psi", "v", "a"))
    extents = np.array(psi.shape, np.int64)
    for part in blocks(options["steps"], max(1, _CELLS // psi.size)):
        count = part.stop - part.start
        kernel("wave_step", psi, v, a, *factors, extents, psi.ndim, count, options["dt"], options["beta"])
        if count % 2:  # displacement and acceleration have changed places
            psi, a = a, psi
    arrays.update(psi=psi, a=a)


def _by_numpy(arrays: dict[str, _Array], factors: _Factors, options: Mapping[str, Any]) -> None:
    psi, v, a = (arrays[name] for name in ("psi", "v", "a"))
    speed, damping, sources = factors
    h: Any = np.float32(0) if damping is None else damping
    force_of: Any = np.complex64(0) if sources is None else sources
    half, beta = np.float32(options["dt"] / 2), np.float32(options["beta"])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(options["steps"]):
            ahead = v + a * half
            psi = psi + ahead * (2 * half)
            lap = sum(np.roll(psi, shift, axis) for axis in range(psi.ndim) for shift in (1, -1)) - 2 * psi.ndim * psi
            force = speed * lap + beta * (psi.real**2 + psi.imag**2) * psi + force_of
            v = (ahead + force * half) / (1 + h)
            a = force - h / half * v
    arrays.update(psi=psi, v=v, a=a)
