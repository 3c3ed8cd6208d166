"""``wave_step`` on OpenCL, in place: one pass over the lattice a step."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.waves import wave_damping, wave_speeds
from ninefold.spec.data import Answer, Kept, State
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.protocols import HOST
from ninefold.spec.signature import Call

from .memory import StateForm

if TYPE_CHECKING:
    import pyopencl as cl

    from .device import OpenClDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}
#: Cells of a work-item on a processor, which computes with vectors of them. Elsewhere work-items share vectors.
_CELLS = 8
#: Steps that are queued before the host waits, so that interrupts are handled.
_QUEUED = 32
#: Cells from which positions of numbers exceed the kernel's 32 bits.
_CELLS_MAX = 1 << 30


@dataclass(frozen=True)
class Wave(StateForm):
    """Wave on the device; the host keeps r and s, from which it computes factors in float64.

    Attributes
    ----------
    speed, damping : callable
        ``speed(c0)`` and ``damping(alpha, dt)``: buffers of what `ninefold.numerics.waves` computes, the second None
        without damping. The latest results are kept, since s and r do not change.
    """

    speed: "Callable[[float], cl.Buffer]"
    damping: "Callable[[float, float], cl.Buffer | None]"


def load(device: "OpenClDevice", state: State) -> Wave:
    """Copy a wave to the device."""
    form = device.memory.load_state(state, ("r", "s"))
    put, mirrors = device.memory.put, form.mirrors

    def damping(alpha: float, dt: float) -> "cl.Buffer | None":
        return None if (array := wave_damping(mirrors["r"], alpha, dt)) is None else put(array)

    speed = lru_cache(1)(lambda c0: put(wave_speeds(mirrors["s"], c0)))
    return Wave(form.buffers, form.shapes, mirrors, form.attributes, speed, lru_cache(1)(damping))


def fetch(device: "OpenClDevice", wave: Wave) -> dict[str, npt.NDArray[Any]]:
    """Return copies of all arrays."""
    return device.memory.fetch(wave)


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Advance the wave on the device.

    Raises
    ------
    UnsupportedError
        The lattice has 2**30 or more cells.
    """
    state, options = call.state(), call.options
    with device.timed() as metrics:
        wave = device.residents.form(state, load)
        shape, _ = wave.shapes["psi"]
        if (cells := math.prod(shape)) >= _CELLS_MAX:
            raise UnsupportedError(f"the kernel takes fewer than {_CELLS_MAX:,} cells, not {cells:,}")
        sources, damping = call.arguments["sources"], wave.damping(options["alpha"], options["dt"])
        launches = _Launches(device, shape, damped=damping is not None, driven=sources is not None)
        # A pointer that the kernel does not follow must still be one of a buffer.
        unused = wave.buffers["psi"]
        factors = (
            wave.speed(options["c0"]),
            unused if damping is None else damping,
            unused if sources is None else device.memory.put(np.asarray(sources)),
        )
        psi, v, other = (wave.buffers[name] for name in ("psi", "v", "a"))
        dt, beta = np.float32(options["dt"]), np.float32(options["beta"])
        # Displacements take the place of the acceleration and of the displacement before, in turns.
        launches.run("start", psi, v, other, other, v, dt)
        for number in range(1, options["steps"] + 1):
            psi, other = other, psi
            launches.run("advance", psi, v, other, *factors, dt, beta, np.int32(number == options["steps"]))
            if number % _QUEUED == 0:
                device.launcher.finish()
        device.launcher.finish()
        wave.buffers.update(psi=psi, a=other)
    return Answer({}, f"float32 on {device.entry.name}", metrics, Kept(state.id, state.version + 1))


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
        """Queue a kernel on all cells."""
        for size, first, items in self._parts:
            kernel = self._launcher.kernel(("wave_step.cl",), name, CELLS=size, **self._defines)
            self._launcher.launch(kernel, (items,), None, *arguments, np.uint32(first), wait=False)
