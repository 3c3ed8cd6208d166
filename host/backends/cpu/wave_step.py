"""``wave_step`` on the CPU."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.waves import wave_factors
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "step"]

RATING = 6
#: Cells that a call of the kernel advances, in well under a second, so that interrupts are handled.
_CELLS = 1 << 25

_Array = npt.NDArray[Any]


def step(device: "CpuDevice", call: Call) -> Answer:
    """Advance the wave by all steps."""
    state, kernel = call.state(), device.engine.kernel
    psi, v, a = (np.array(state.arrays[name], np.complex64, order="C") for name in ("psi", "v", "a"))
    with device.timed() as metrics:
        if kernel is not None:
            psi = _by_kernel(kernel, call, psi, v, a)
        else:
            psi, v, a = _by_numpy(call, psi, v, a)
    path = "numpy" if kernel is None else device.path
    fixed = {name: state.arrays[name] for name in ("r", "s")}
    return Answer({}, path, metrics, state.next({"psi": psi, "v": v, "a": a, **fixed}))


def _by_kernel(kernel: Kernel, call: Call, psi: _Array, v: _Array, a: _Array) -> _Array:
    """Change v and a in place, and return the new psi."""
    factors, other = wave_factors(call), np.empty_like(psi)
    extents = np.array(psi.shape, np.int64)
    options = call.options
    for part in blocks(options["steps"], max(1, _CELLS // psi.size)):
        count = part.stop - part.start
        kernel("wave_step", psi, other, v, a, *factors, extents, psi.ndim, count, options["dt"], options["beta"])
        if count % 2:
            psi, other = other, psi
    return psi


def _by_numpy(call: Call, psi: _Array, v: _Array, a: _Array) -> tuple[_Array, _Array, _Array]:
    speed, damping, sources = wave_factors(call)
    h: Any = np.float32(0) if damping is None else damping
    force_of: Any = np.complex64(0) if sources is None else sources
    half, beta = np.float32(call.options["dt"] / 2), np.float32(call.options["beta"])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(call.options["steps"]):
            ahead = v + a * half
            psi = psi + ahead * (2 * half)
            lap = sum(np.roll(psi, shift, axis) for axis in range(psi.ndim) for shift in (1, -1)) - 2 * psi.ndim * psi
            force = speed * lap + beta * (psi.real**2 + psi.imag**2) * psi + force_of
            v = (ahead + force * half) / (1 + h)
            a = force - h / half * v
    return psi, v, a
