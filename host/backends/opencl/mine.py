"""mine on OpenCL: similarity and top-k in one kernel, so that scores never leave the device."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.quantise import quantise
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .merging import best_keys, results

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["run"]

#: Queries of one launch: enough to keep a device busy, few enough that a launch takes a fraction of a second.
_QUERIES = 256


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise the queries, score them against every part of the database and merge the lists."""
    database, k = call.database(), call.options["k"]
    parts = device.memory.load(database)
    kernels = device.kernels(call.sizes["D"])
    q = np.asarray(call.arguments["q"])
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(q, scale, mode)  # type: ignore[arg-type]  # load has checked the mode
        keys = np.full((len(q), k), np.iinfo(np.int64).min)
        for first in range(0, len(q) if parts else 0, _QUERIES):
            block = nits[first : first + _QUERIES]
            found = [kernels.mine(rows, block, k) for rows in parts]
            keys[first : first + _QUERIES] = best_keys(np.concatenate(found, axis=1), k)
        count = min(k, call.sizes["N"])
        ids, scores = results(keys, count)
    values = {"ids": ids, "scores": scores, "count": np.full(len(q), count, np.int64)}
    return Answer(values, kernels.path, metrics)
