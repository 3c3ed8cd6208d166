"""``mine`` on Loihi."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.nits import unpack
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import empty
from ninefold.numerics.stages import is_plain, mined
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .candidates import derive
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
        if is_plain(call):
            values = _raced(rows, nits, k, min(k, call.sizes["N"]))
        else:
            values = mined(call, nits, rows.all_scores, lambda q: device.residents.form(database, derive).all_scores(q))
    return Answer(values, f"{device.path}, queries quantised on the host", metrics)


def _raced(rows: Rows, nits: npt.NDArray[np.int8], k: int, count: int) -> dict[str, Any]:
    """Return the rows whose neurons fire first."""
    ids, scores = empty(len(nits), k, np.int32)
    for query, row_ids, row_scores in zip(nits, ids, scores, strict=True):
        row_ids[:count], row_scores[:count] = rows.best(query, k)
    return {"ids": ids, "scores": scores, "count": np.full(len(nits), count, np.int64)}
