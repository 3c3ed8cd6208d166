"""``superpose`` on the floating-point adder with its quantiser."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Stream the bits of the real parts through the core."""
    started = perf_counter()
    shape = call.arguments["a"].shape
    bits = {name: np.ascontiguousarray(wave.real).view(np.uint32).reshape(-1) for name, wave in call.arguments.items()}
    nits, cycles = np.zeros(shape, np.int8), 0
    if count := len(bits["a"]):
        model = device.model("superpose", exponent=8, fraction=23)
        beats = model.streams["input"].pack(count, bits)
        done = device.simulate(model, {"input": beats}, {"output": count}, patience=10_000)
        found = model.streams["output"].unpack(done.outputs["output"])["nit"]
        nits, cycles = found.astype(np.int8).reshape(shape), done.cycles
    return Answer({"nits": nits}, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
