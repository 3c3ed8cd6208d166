"""``mine`` on OpenCL: similarity and top-k in one kernel, so that scores never leave the device."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .memory import RowBuffer
from .merging import best_keys, results

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "load", "run"]

#: On a processor the backend ``cpu`` does the same without a second copy of the database.
RATING = {"gpu": 7, "npu": 5, "cpu": 5}

#: Queries and products of nits in one launch: enough to keep a device busy, but at most about a second on a slow one,
#: so that a call can be interrupted and no driver considers it stuck.
_QUERIES, _PRODUCTS = 256, 1 << 36


def load(device: "OpenClDevice", database: Database) -> list[RowBuffer]:
    """Copy the packed nits of a database to the device in its own layout; a list of no parts for no rows."""
    return device.memory.load_rows(checked_nits(database))


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise the queries, score them against every part of the database and merge the lists."""
    database, k = call.database(), call.options["k"]
    parts: list[RowBuffer] = device.residents.form(database, load)
    kernels = device.kernels(call.sizes["D"])
    q = np.asarray(call.arguments["q"])
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(q, scale, mode)  # type: ignore[arg-type]  # load has checked the mode
        keys = np.full((len(q), k), np.iinfo(np.int64).min)
        step = min(_QUERIES, max(4, _PRODUCTS // max(1, call.sizes["N"] * call.sizes["D"])))
        for first in range(0, len(q) if parts else 0, step):
            block = nits[first : first + step]
            found = [kernels.mine(rows, block, k) for rows in parts]
            keys[first : first + step] = best_keys(np.concatenate(found, axis=1), k)
        count = min(k, call.sizes["N"])
        ids, scores = results(keys, count)
    values = {"ids": ids, "scores": scores, "count": np.full(len(q), count, np.int64)}
    return Answer(values, kernels.path, metrics)
