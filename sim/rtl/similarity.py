"""``similarity`` on the Similarity core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.numerics.nits import pack
from ninefold.numerics.similarity import normalised, reciprocals
from ninefold.sim.rtl.device import RtlDevice
from ninefold.sim.rtl.words import DEPTH, LANES, check_last, ends, fitting, nit_words
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1


def run(device: RtlDevice, call: Call) -> Answer:
    """Load the vectors into the store page by page, and stream all queries through each page."""
    started = perf_counter()
    q, c = np.asarray(call.arguments["q"]), np.asarray(call.arguments["c"])
    scores = np.zeros((len(q), len(c)), np.int32)
    cycles = 0
    path = device.path
    if scores.size:
        width = fitting(q.shape[1])
        beats = width // LANES
        model = device.model("similarity", dimensions=width, lanes=LANES, depth=DEPTH)
        words = nit_words(pack(q), width)
        query = model.streams["query"].pack(len(words), {"nits": words, "last": ends(len(words), beats)})
        for start in range(0, len(c), DEPTH):
            page = c[start : start + DEPTH]
            words = nit_words(pack(page), width)
            load = model.streams["load"].pack(len(words), {"nits": words, "last": ends(len(words), len(words))})
            cycles += device.simulate(model, {"load": load}, {}, patience=10_000).cycles
            done = device.simulate(model, {"query": query}, {"scores": len(q) * len(page)}, patience=10_000)
            cycles += done.cycles
            found = model.streams["scores"].unpack(done.outputs["scores"])
            check_last("scores", found["last"], len(page))
            scores[:, start : start + len(page)] = found["score"].reshape(len(q), -1)
    if call.options["normalised"]:
        scores = normalised(scores, reciprocals(c.astype(np.float32)))
        path += ", normalised on the host"
    return Answer({"scores": scores}, path, {"cycles": cycles, "seconds": perf_counter() - started})
