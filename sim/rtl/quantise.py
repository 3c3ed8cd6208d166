"""``quantise`` on the Quantiser core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.numerics.nits import signed_nibbles
from ninefold.numerics.quantise import grid
from ninefold.sim.rtl.device import RtlDevice
from ninefold.sim.rtl.words import LANES, ends, grid_words
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Compute the grid values on the host, as every backend does, and the nits on the core."""
    started = perf_counter()
    x = np.asarray(call.arguments["x"])
    if x.size == 0:
        values, cycles = np.zeros(x.shape, np.int8), 0
    else:
        model = device.model("quantiser", mode=call.options["mode"], lanes=LANES)
        flat = grid(x, call.options["scale"]).reshape(1, -1)
        words = grid_words(flat, -(-x.size // LANES) * LANES)
        stream = model.streams["values"]
        beats = stream.pack(len(words), {"grid": words, "last": ends(len(words), len(words))})
        done = device.simulate(model, {"values": beats}, {"nits": len(words)}, patience=10_000)
        packed = model.streams["nits"].unpack_bytes(done.outputs["nits"], "nits")
        values = signed_nibbles(packed).reshape(-1)[: x.size].reshape(x.shape)
        cycles = done.cycles
    return Answer({"nits": values}, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
