"""``hilbert_inverse`` on the decoder of the Hilbert curve."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Stream all indices through a core of their size."""
    started = perf_counter()
    index = np.asarray(call.arguments["index"])
    dimensions, bits = call.options["dimensions"], call.options["bits"]
    coords, cycles = np.zeros((len(index), dimensions), np.uint64), 0
    if len(index):
        model = device.model("hilbert_decoder", dimensions=dimensions, bits=bits)
        beats = model.streams["input"].pack(len(index), {"index": index})
        done = device.simulate(model, {"input": beats}, {"output": len(index)}, patience=10_000)
        words = model.streams["output"].unpack(done.outputs["output"])["coords"].view(np.uint64)
        places = np.arange(0, dimensions * bits, bits, dtype=np.uint64)
        coords, cycles = words[:, None] >> places & np.uint64((1 << bits) - 1), done.cycles
    return Answer({"coords": coords}, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
