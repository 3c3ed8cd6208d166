"""``topk`` on the TopK core."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.numerics.ranked import empty, sortable
from ninefold.sim.rtl.device import KS, RtlDevice
from ninefold.sim.rtl.words import check_last, ends, fitting
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["RATING", "run"]

RATING = 1

#: Id bits, so that a beat with 32 bits of score and ``last`` takes 64 bits. The id is the position in the row.
_ID_WIDTH = 31


def run(device: RtlDevice, call: Call) -> Answer:
    """Stream all rows through the core back to back, and select scores and ids by the returned positions."""
    started = perf_counter()
    scores, ids = np.asarray(call.arguments["scores"]), call.arguments["ids"]
    queries, n = scores.shape
    k = call.options["k"]
    size = fitting(k, KS)
    kept = min(n, k)
    best_ids, best = empty(queries, k, scores.dtype)
    cycles = 0
    if queries and n:
        model = device.model("topk", k=size, score_width=32, id_width=_ID_WIDTH)
        columns = {
            "score": sortable(scores).reshape(-1),
            "id": np.tile(np.arange(n), queries),
            "last": ends(queries * n, n),
        }
        beats = model.streams["scores"].pack(queries * n, columns)
        batch = min(n, size)
        done = device.simulate(model, {"scores": beats}, {"results": queries * batch}, patience=10_000)
        found = model.streams["results"].unpack(done.outputs["results"])
        check_last("results", found["last"], batch)
        positions = found["id"].reshape(queries, batch)[:, :kept]
        best[:, :kept] = np.take_along_axis(scores, positions, axis=1)
        best_ids[:, :kept] = positions if ids is None else np.asarray(ids)[positions]
        cycles = done.cycles
    values = {"ids": best_ids, "scores": best, "count": np.full(queries, kept, np.int64)}
    return Answer(values, device.path, {"cycles": cycles, "seconds": perf_counter() - started})
