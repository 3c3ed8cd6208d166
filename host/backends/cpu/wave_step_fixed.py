"""``wave_step_fixed`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN
from ninefold.spec.operators.wave_step_fixed import FRACTION_BITS, ROUNDED_BITS
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "step"]

RATING = 6
#: Cells that a call of the kernel advances, in well under a second, so that interrupts are handled.
_CELLS = 1 << 24

_Ints = npt.NDArray[np.int32]
_Longs = npt.NDArray[np.int64]


def step(device: "CpuDevice", call: Call) -> Answer:
    """Advance the lattice by all steps."""
    state, kernel = call.state(), device.engine.kernel
    psi, v = (np.array(state.arrays[name], np.int32, order="C") for name in ("psi", "v"))
    coefficients = [call.options[name] for name in "ABCT"]
    with device.timed() as metrics:
        if kernel is not None:
            psi = _by_kernel(kernel, psi, v, call.options["steps"], coefficients)
        else:
            for _ in range(call.options["steps"]):
                psi, v = _advanced(psi.astype(np.int64), v.astype(np.int64), *coefficients)
    path = "numpy" if kernel is None else device.path
    return Answer({}, path, metrics, state.next({"psi": psi, "v": v}))


def _by_kernel(kernel: Kernel, psi: _Ints, v: _Ints, steps: int, coefficients: list[int]) -> _Ints:
    """Change v in place, and return the new psi."""
    other = np.empty_like(psi)
    for part in blocks(steps, max(1, _CELLS // psi.size)):
        count = part.stop - part.start
        kernel("wave_step_fixed", psi, other, v, *psi.shape, count, *coefficients)
        if count % 2:
            psi, other = other, psi
    return psi


def _advanced(psi: _Longs, v: _Longs, a: int, b: int, c: int, t: int) -> tuple[_Ints, _Ints]:
    lap = sum(np.roll(psi, shift, axis) for axis in (0, 1) for shift in (1, -1)) - 4 * psi
    square = np.minimum(psi * psi >> FRACTION_BITS, np.iinfo(np.int32).max)
    cube = _saturated(square * psi >> FRACTION_BITS)
    new_v = _saturated(v + _rounded(c * lap - a * v + b * cube))
    return _saturated(psi + _rounded(t * new_v)).astype(np.int32), new_v.astype(np.int32)


def _saturated(x: _Longs) -> _Longs:
    clipped: _Longs = np.clip(x, INT32_MIN, np.iinfo(np.int32).max)
    return clipped


def _rounded(x: _Longs) -> _Longs:
    """Divide by 2**16 and round to nearest, of two to the even one."""
    return (x + ((1 << (ROUNDED_BITS - 1)) - 1) + (x >> ROUNDED_BITS & 1)) >> ROUNDED_BITS
