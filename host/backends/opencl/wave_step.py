"""``wave_step`` on OpenCL: one launch a step."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.waves import wave_factors
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Advance the wave on the device, and copy it to the host at the end."""
    state, options = call.state(), call.options
    shape = np.shape(state.arrays["psi"])
    extents = [extent for extent in shape if extent > 1] or [1]
    arrays = {name: np.empty(shape, np.complex64) for name in ("psi", "v", "a")}
    cells = arrays["psi"].size
    with device.timed() as metrics:
        loaded, (speed, damping, sources) = device.residents.form(state), wave_factors(call)
        defines = {"DIMENSIONS": len(extents), "DAMPED": damping is not None, "SOURCES": sources is not None}
        built = {name: int(value) for name, value in defines.items()}
        start, advance = (device.launcher.kernel(("wave_step.cl",), name, **built) for name in ("start", "advance"))
        psi, other, v = (device.memory.allocate(8 * cells) for _ in range(3))
        dt, beta = np.float32(options["dt"]), np.float32(options["beta"])
        device.launcher.launch(start, (cells,), None, *(loaded[name] for name in ("psi", "v", "a")), psi, v, dt)
        # A pointer that the kernel does not follow must still be one of a buffer.
        unused = device.memory.put(np.zeros(1, np.complex64))
        factors = [
            device.memory.put(speed),
            *(unused if x is None else device.memory.put(x) for x in (damping, sources)),
        ]
        lattice = device.memory.put(np.array(extents, np.int32))
        for number in range(1, options["steps"] + 1):
            last = np.int32(number == options["steps"])
            device.launcher.launch(advance, (cells,), None, psi, v, other, *factors, lattice, dt, beta, last)
            if not last:
                psi, other = other, psi
        for buffer, array in zip((psi, v, other), arrays.values(), strict=True):
            device.launcher.read(buffer, array.reshape(1, -1), cells)
    fixed = {name: state.arrays[name] for name in ("r", "s")}
    return Answer({}, f"float32 on {device.entry.name}", metrics, state.next({**arrays, **fixed}))
