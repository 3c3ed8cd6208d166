"""``mine`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

#: High: the C++ kernel searches.
RATING = 8


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise the queries and search the packed nits in place."""
    database = call.database()
    device.load(database)
    engine = device.engine  # compiled on first use, which does not count as search time
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        packed = database.require("nits")
        ids, scores = engine.mine(nits, packed, call.options["k"])
        count = np.full(len(ids), min(call.options["k"], len(packed)), np.int64)
    return Answer({"ids": ids, "scores": scores, "count": count}, device.path, metrics)
