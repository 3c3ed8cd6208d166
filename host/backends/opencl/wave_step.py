"""``wave_step`` on OpenCL: one pass over the lattice a step."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ninefold.numerics.waves import wave_factors
from ninefold.spec.data import Answer
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.protocols import HOST
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}
#: Cells of a work-item on a processor, which computes with vectors of them. Elsewhere work-items share vectors.
_CELLS = 8
#: Cells from which positions of numbers exceed the kernel's 32 bits.
_CELLS_MAX = 1 << 30


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Advance the wave on the device, and copy it to the host at the end.

    Raises
    ------
    UnsupportedError
        The lattice has 2**30 or more cells.
    """
    state, options = call.state(), call.options
    shape = np.shape(state.arrays["psi"])
    arrays = {name: np.empty(shape, np.complex64) for name in ("psi", "v", "a")}
    if (cells := arrays["psi"].size) >= _CELLS_MAX:
        raise UnsupportedError(f"the kernel takes fewer than {_CELLS_MAX:,} cells, not {cells:,}")
    with device.timed() as metrics:
        loaded, (speed, damping, sources) = device.residents.form(state), wave_factors(call)
        launches = _Launches(device, shape, damped=damping is not None, driven=sources is not None)
        psi, other, v = (device.memory.allocate(8 * cells) for _ in range(3))
        dt, beta = np.float32(options["dt"]), np.float32(options["beta"])
        launches.run("start", *(loaded[name] for name in ("psi", "v", "a")), psi, v, dt)
        # A pointer that the kernel does not follow must still be one of a buffer.
        unused = device.memory.put(np.zeros(1, np.complex64))
        factors = [
            device.memory.put(speed),
            *(unused if x is None else device.memory.put(x) for x in (damping, sources)),
        ]
        for number in range(1, options["steps"] + 1):
            last = np.int32(number == options["steps"])
            launches.run("advance", psi, v, other, *factors, dt, beta, last)
            if not last:
                psi, other = other, psi
        for buffer, array in zip((psi, v, other), arrays.values(), strict=True):
            device.launcher.read(buffer, array.reshape(1, -1), cells)
    fixed = {name: state.arrays[name] for name in ("r", "s")}
    return Answer({}, f"float32 on {device.entry.name}", metrics, state.next({**arrays, **fixed}))


class _Launches:
    """Launches that together pass over all cells: of whole vectors of cells, and of the cells that remain."""

    def __init__(self, device: "OpenClDevice", shape: tuple[int, ...], *, damped: bool, driven: bool) -> None:
        extents = [extent for extent in shape if extent > 1] or [1]
        self._launcher = device.launcher
        self._defines: dict[str, int | str] = {
            "DIMENSIONS": len(extents),
            "EXTENTS": ",".join(map(str, extents)),
            "DAMPED": int(damped),
            "SOURCES": int(driven),
        }
        cells = math.prod(extents)
        whole = cells - cells % _CELLS if device.entry.unit == HOST else 0
        #: Cells of a work-item, first cell, and number of work-items, of each launch.
        self._parts = [part for part in ((_CELLS, 0, whole // _CELLS), (1, whole, cells - whole)) if part[2]]

    def run(self, name: str, *arguments: Any) -> None:
        """Run a kernel on all cells."""
        for size, first, items in self._parts:
            kernel = self._launcher.kernel(("wave_step.cl",), name, CELLS=size, **self._defines)
            self._launcher.launch(kernel, (items,), None, *arguments, np.uint32(first))
