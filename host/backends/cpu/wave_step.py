"""``wave_step`` on the CPU."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.waves import wave_damping, wave_factors
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "step"]

RATING = 6
#: Cells that a call of the kernel advances, in well under a second, so that interrupts are handled.
_CELLS = 1 << 28

_Array = npt.NDArray[Any]


def step(device: "CpuDevice", call: Call) -> Answer:
    """Advance the wave by all steps."""
    state, kernel = call.state(), device.engine.kernel
    with device.timed() as metrics:
        psi, v, a = _by_numpy(call) if kernel is None else _by_kernel(kernel, call)
    path = "numpy" if kernel is None else device.path
    fixed = {name: state.arrays[name] for name in ("r", "s")}
    return Answer({}, path, metrics, state.next({"psi": psi, "v": v, "a": a, **fixed}))


def _by_kernel(kernel: Kernel, call: Call) -> tuple[_Array, _Array, _Array]:
    given, options = call.state().arrays, call.options
    psi, v, a, s = (np.ascontiguousarray(given[name]) for name in ("psi", "v", "a", "s"))
    one, other, ahead = (np.empty_like(psi) for _ in range(3))
    speed = np.empty_like(s)
    kernel("wave_speeds", s, float(options["c0"] ** 2), s.size, speed)
    damping, sources = wave_damping(call), call.arguments["sources"]
    fixed = speed, damping, None if sources is None else np.ascontiguousarray(sources), np.array(psi.shape, np.int64)
    for part in blocks(options["steps"], max(1, _CELLS // psi.size)):
        count = part.stop - part.start
        kernel("wave_step", psi, v, a, one, other, ahead, *fixed, psi.ndim, count, options["dt"], options["beta"])
        psi, a = (one, other) if count % 2 else (other, one)
        # The next part reads its arrays before it writes to them.
        one, other, v = a, psi, ahead
    return psi, v, a


def _by_numpy(call: Call) -> tuple[_Array, _Array, _Array]:
    psi, v, a = (np.asarray(call.state().arrays[name]) for name in ("psi", "v", "a"))
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
