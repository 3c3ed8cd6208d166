"""``mine`` on Loihi."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import empty
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "run"]

#: The lowest of the scheduler's three grades, as for any neuromorphic chip.
RATING = 3


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Quantise the queries on the host, and run a race of all rows for each query."""
    database, k = call.database(), call.options["k"]
    rows = device.rows(database)
    with device.timed(rows.cores) as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        ids, scores = empty(len(nits), k, np.int32)
        count = min(k, call.sizes["N"])
        for query, row_ids, row_scores in zip(nits, ids, scores, strict=True):
            row_ids[:count], row_scores[:count] = rows.best(query, k)
    values = {"ids": ids, "scores": scores, "count": np.full(len(nits), count, np.int64)}
    return Answer(values, f"{device.path}, queries quantised on the host", metrics)
