"""``wave_step_fixed`` on the WaveLattice core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice, orders, parameters
from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "step"]

RATING = 1


def step(device: RtlDevice, call: Call) -> Answer:
    """Load the lattice, advance it and read it; raises `UnsupportedError` if no core has its extents."""
    started = perf_counter()
    state, shape = call.state(), parameters(call)
    model = device.model("wave_lattice", **shape)
    commands = {name: np.array(values) for name, values in orders(call).items()}
    cells = {name: np.asarray(state.arrays[name]).reshape(-1) for name in ("psi", "v")}
    count = len(cells["psi"])
    inputs = {
        "command": model.streams["command"].pack(len(commands["value"]), commands),
        "load": model.streams["load"].pack(count, cells),
    }
    # No beat moves during the steps of a command.
    steps = int(commands["value"][commands["operation"] == Operation.STEP].max())
    patience = 10_000 + steps * WaveLattice(**shape).step_cycles
    done = device.simulate(model, inputs, {"cells": count}, patience)
    found = model.streams["cells"].unpack(done.outputs["cells"])
    arrays = {name: found[name].astype(np.int32).reshape(call.sizes["H"], -1) for name in ("psi", "v")}
    metrics = {"cycles": done.cycles, "seconds": perf_counter() - started}
    return Answer({}, device.path, metrics, state.next(arrays))
