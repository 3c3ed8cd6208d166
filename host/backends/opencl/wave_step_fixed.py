"""``wave_step_fixed`` on OpenCL: one launch a step."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Advance the lattice on the device, and copy it to the host at the end."""
    state, (height, width) = call.state(), (call.sizes["H"], call.sizes["W"])
    coefficients = [np.int32(call.options[name]) for name in "ABCT"]
    with device.timed() as metrics:
        loaded = device.residents.form(state)
        kernel = device.launcher.kernel(("wave_step_fixed.cl",), "wave_step_fixed")
        size = 4 * height * width
        pairs = [(device.memory.allocate(size), device.memory.allocate(size)) for _ in range(2)]
        # The loaded version must not change, so it is read by the first step only.
        psi, v = loaded["psi"], loaded["v"]
        for number in range(call.options["steps"]):
            after = pairs[number % 2]
            device.launcher.launch(kernel, (width, height), None, psi, v, *after, *coefficients)
            psi, v = after
        arrays = {name: np.empty((height, width), np.int32) for name in ("psi", "v")}
        for buffer, array in zip((psi, v), arrays.values(), strict=True):
            device.launcher.read(buffer, array, width)
    return Answer({}, f"64-bit integers on {device.entry.name}", metrics, state.next(arrays))
