"""``phase_hash`` on its core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call
from ninefold.spec.waves import PHASES

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Stream the bits of all points through the core."""
    started = perf_counter()
    psi = np.ascontiguousarray(call.arguments["psi"])
    found, cycles = np.zeros(len(psi), np.uint32), 0
    if len(psi):
        model = device.model("phase_hash", dimensions=PHASES, width=32, floating=True)
        beats = model.streams["input"].pack(len(psi), {"psi": psi.view(np.uint8)})
        done = device.simulate(model, {"input": beats}, {"output": len(psi)}, patience=10_000)
        found, cycles = model.streams["output"].unpack(done.outputs["output"])["hash"].astype(np.uint32), done.cycles
    return Answer({"hash": found}, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
