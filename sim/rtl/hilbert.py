"""``hilbert`` on the encoder of the Hilbert curve."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.sim.rtl.device import RtlDevice
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Stream all points through a core of their size."""
    started = perf_counter()
    coords, bits = np.asarray(call.arguments["coords"]).astype(np.uint64), call.options["bits"]
    points, dimensions = coords.shape
    index, cycles = np.zeros(points, np.uint64), 0
    if points:
        model = device.model("hilbert_encoder", dimensions=dimensions, bits=bits)
        words = np.bitwise_or.reduce(coords << np.arange(0, dimensions * bits, bits, dtype=np.uint64), axis=1)
        beats = model.streams["input"].pack(points, {"coords": words})
        done = device.simulate(model, {"input": beats}, {"output": points}, patience=10_000)
        index, cycles = model.streams["output"].unpack(done.outputs["output"])["index"].view(np.uint64), done.cycles
    return Answer({"index": index}, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
