"""``similarity`` on the SimilarityEngine core."""

from __future__ import annotations

from math import isqrt
from time import perf_counter

import numpy as np
import numpy.typing as npt

from ninefold.sim.rtl.device import RtlDevice
from ninefold.sim.rtl.words import DEPTH, LANES, check_last, ends, fitting, nit_words
from ninefold.spec.data import Answer
from ninefold.spec.formats import RECIPROCAL_BITS
from ninefold.spec.signature import Call

__all__ = ["normalise", "run"]


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
        words = nit_words(_packed(q), width)
        query = model.streams["query"].pack(len(words), {"nits": words, "last": ends(len(words), beats)})
        for start in range(0, len(c), DEPTH):
            page = c[start : start + DEPTH]
            words = nit_words(_packed(page), width)
            load = model.streams["load"].pack(len(words), {"nits": words, "last": ends(len(words), len(words))})
            cycles += device.simulate(model, {"load": load}, {}, patience=10_000).cycles
            done = device.simulate(model, {"query": query}, {"scores": len(q) * len(page)}, patience=10_000)
            cycles += done.cycles
            found = model.streams["scores"].unpack(done.outputs["scores"])
            check_last("scores", found["last"], len(page))
            scores[:, start : start + len(page)] = found["score"].reshape(len(q), -1)
    if call.options["normalised"]:
        scores = normalise(scores, c)
        path += ", normalised on the host"
    return Answer({"scores": scores}, path, {"cycles": cycles, "seconds": perf_counter() - started})


def normalise(scores: npt.NDArray[np.int32], c: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """Return (score * recip) >> 8, where recip is the integer reciprocal of the vector's length."""
    squares = np.square(c, dtype=np.int64).sum(axis=1)
    recip = np.array([(isqrt(2**RECIPROCAL_BITS // n) + 1) >> 1 if n else 0 for n in squares.tolist()], np.int64)
    return ((scores.astype(np.int64) * recip) >> 8).astype(np.int32)


def _packed(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Return rows of packed nits, two per byte; a row of odd length is padded with 0."""
    even = np.zeros((len(nits), -(-nits.shape[1] // 2) * 2), np.uint8)
    even[:, : nits.shape[1]] = nits.view(np.uint8) & 15
    packed: npt.NDArray[np.uint8] = even[:, 0::2] | even[:, 1::2] << 4
    return packed
