"""``similarity`` on Loihi."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.similarity import normalised, reciprocals
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "run"]

RATING = 3


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Load the vectors into the chip, and for every query run the ramp until all neurons have fired."""
    q, c = np.asarray(call.arguments["q"]), np.asarray(call.arguments["c"])
    scores = np.zeros((len(q), len(c)), np.int32)
    rows = device.build(c)
    path = device.path
    with device.timed(rows.cores) as metrics:
        for query, row in zip(q, scores, strict=True):
            row[:] = rows.scores(query)
        if call.options["normalised"]:
            scores = normalised(scores, reciprocals(c.astype(np.float32)))
            path += ", normalised on the host"
    return Answer({"scores": scores}, path, metrics)
