"""``mine`` on Loihi."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.nits import unpack
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import empty
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .rows import Rows

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "load", "run"]

#: The lowest of the scheduler's three grades, as for any neuromorphic chip.
RATING = 3


def load(device: "LoihiDevice", database: Database) -> Rows:
    """Build the network of a database."""
    return device.build(unpack(checked_nits(database), int(database.attributes["dimensions"])))


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Quantise the queries on the host, and run a race of all rows for each query."""
    database, k = call.database(), call.options["k"]
    rows: Rows = device.residents.form(database, load)
    with device.timed(rows.cores) as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        ids, scores = empty(len(nits), k, np.int32)
        count = min(k, call.sizes["N"])
        for query, row_ids, row_scores in zip(nits, ids, scores, strict=True):
            row_ids[:count], row_scores[:count] = rows.best(query, k)
    values = {"ids": ids, "scores": scores, "count": np.full(len(nits), count, np.int64)}
    return Answer(values, f"{device.path}, queries quantised on the host", metrics)
