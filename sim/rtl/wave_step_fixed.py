"""``wave_step_fixed`` on the WaveLattice core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice
from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.errors import InputError, UnsupportedError
from ninefold.spec.signature import Call

__all__ = ["RATING", "step"]

RATING = 1
#: Steps in one command, during which no beat moves.
_STEPS = 1000


def step(device: RtlDevice, call: Call) -> Answer:
    """Load the lattice, advance it and read it.

    Raises
    ------
    UnsupportedError
        No core has these extents.
    """
    started = perf_counter()
    state, shape = call.state(), {"width": call.sizes["W"], "height": call.sizes["H"]}
    try:
        core = WaveLattice(**shape, cycles=1)
    except InputError as error:
        raise UnsupportedError(f"{device.name} has a core for extents of 2, 4, 8 and so on to 128: {error}") from error
    model = device.model("wave_lattice", **shape, cycles=1)
    number = shape["width"] * shape["height"]
    cells = {name: np.asarray(state.arrays[name]).reshape(-1) for name in ("psi", "v")}
    sets = (Operation.SET_A, Operation.SET_B, Operation.SET_C, Operation.SET_T)
    full, rest = divmod(call.options["steps"], _STEPS)
    parts = [_STEPS] * full + [rest] * (rest > 0)
    orders = [
        *((which, call.options[name]) for which, name in zip(sets, "ABCT", strict=True)),
        (Operation.LOAD, 0),
        *((Operation.STEP, steps) for steps in parts),
        (Operation.READ, 0),
    ]
    operations, values = np.array(orders, np.int64).T
    inputs = {
        "command": model.streams["command"].pack(len(orders), {"operation": operations, "value": values}),
        "load": model.streams["load"].pack(number, cells),
    }
    done = device.simulate(model, inputs, {"cells": number}, patience=10_000 + max(parts) * core.step_cycles)
    found = model.streams["cells"].unpack(done.outputs["cells"])
    arrays = {name: found[name].astype(np.int32).reshape(call.sizes["H"], -1) for name in ("psi", "v")}
    metrics = {"cycles": done.cycles, "seconds": perf_counter() - started}
    return Answer({}, device.path, metrics, state.next(arrays))
