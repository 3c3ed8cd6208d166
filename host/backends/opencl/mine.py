"""``mine`` on OpenCL: similarity and top-k in one kernel, so that scores never leave the device."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.stages import candidates_call, eligible_rows, is_plain, quantised, rescored, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from . import candidates
from .memory import RowBuffer
from .merging import best_keys, results
from .scoring import all_scores

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
    database = call.database()
    parts: list[RowBuffer] = device.residents.form(database, load)
    path = device.kernels(call.sizes["D"]).path
    with device.timed() as metrics:
        nits = quantised(call)
        if is_plain(call):
            values = _listed(device, call, nits, parts)
        elif call.options["scan"] == "signs":
            path += ", signs counted"
            values = rescored(call, nits, candidates.found(device, candidates_call(call), nits))
        else:
            path += ", selection on the host"
            scores = all_scores(device, parts, nits, call.sizes["N"])
            values = selected(scores, call.options["k"], eligible_rows(call, nits))
    return Answer(values, path, metrics)


def _listed(
    device: "OpenClDevice", call: Call, nits: npt.NDArray[np.int8], parts: list[RowBuffer]
) -> dict[str, npt.NDArray[Any]]:
    """Return the best rows of lists that the kernels keep, so that scores never leave the device."""
    k, kernels = call.options["k"], device.kernels(call.sizes["D"])
    keys = np.full((len(nits), k), np.iinfo(np.int64).min)
    step = min(_QUERIES, max(4, _PRODUCTS // max(1, call.sizes["N"] * call.sizes["D"])))
    for first in range(0, len(nits) if parts else 0, step):
        block = nits[first : first + step]
        found = [kernels.mine(rows, block, k) for rows in parts]
        keys[first : first + step] = best_keys(np.concatenate(found, axis=1), k)
    count = min(k, call.sizes["N"])
    ids, scores = results(keys, count)
    return {"ids": ids, "scores": scores, "count": np.full(len(nits), count, np.int64)}
