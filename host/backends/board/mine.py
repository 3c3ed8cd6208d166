"""``mine`` on a board: the whole search on a miner; on a board of design signs the scan, scored again on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol import Identity
from ninefold.numerics.ranked import best, empty
from ninefold.numerics.stages import candidates_call, check_plain, quantised, rescored, scored
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.signature import Call

from .candidates import scanned
from .encoding import encoded

if TYPE_CHECKING:
    from .device import BoardDevice

__all__ = ["RATING", "load", "run"]

#: The fabric is built for searching; a simulated board computes slowly on the processor.
RATING = {"fpga": 9, "simulation": 1}


def load(device: BoardDevice, database: Database) -> None:
    """Load the rows that fit into the board's store."""
    device.holding(database)


def run(device: BoardDevice, call: Call) -> Answer:
    """Send the queries and return the best rows of each.

    Raises
    ------
    UnsupportedError
        The board has not the design for the scan of the call, or supports fewer results, candidates or dimensions; the
        message gives both numbers.
    """
    with device.timed() as metrics:
        identity = device.connect().identity
        if identity.design == "signs":
            values, how = _by_signs(device, call, metrics)
        else:
            values, how = _by_nits(device, call, identity, metrics)
    return Answer(values, f"{device.path}{how}", metrics)


def _by_nits(
    device: BoardDevice, call: Call, identity: Identity, metrics: dict[str, float]
) -> tuple[dict[str, npt.NDArray[Any]], str]:
    check_plain(call, f"{device.name} ({device.path}) is a miner, which", masks=True)
    k, count = call.options["k"], min(call.options["k"], call.sizes["N"])
    if k > identity.k:
        raise UnsupportedError(
            f"{device.name} returns at most {identity.k} results per query, not {k} (k, times rerank)"
        )
    queries, how = encoded(device, call, identity)
    if call.arguments["allowed"] is not None:
        return _masked(device, call, queries, how, metrics)
    ids, scores = empty(len(queries), k, np.int32)
    if len(queries) and count:
        mined = device.holding(call.database()).search(queries, count)
        ids[:, :count], scores[:, :count] = mined.ids, mined.scores
        metrics["cycles"] = mined.cycles
    return {"ids": ids, "scores": scores, "count": np.full(len(queries), count, np.int64)}, how


def _masked(
    device: BoardDevice, call: Call, queries: npt.NDArray[Any], how: str, metrics: dict[str, float]
) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Ask a miner, which ranks all rows, for as many as it returns, and keep the allowed ones.

    They are the best allowed rows if there are k of them, or as many as are allowed. The queries with fewer are scored
    on the host against the allowed rows, which the path tells.
    """
    rows = call.sizes["N"]
    allowed = np.flatnonzero(np.unpackbits(np.asarray(call.arguments["allowed"]), count=rows, bitorder="little"))
    k, kept = call.options["k"], min(call.options["k"], len(allowed))
    ids, scores = empty(len(queries), k, np.int32)
    if len(queries) and kept:
        wide = min(device.connect().identity.k, rows)
        mined = device.holding(call.database()).search(queries, wide)
        metrics["cycles"] = mined.cycles
        inside = np.isin(mined.ids, allowed)
        columns = np.argsort(~inside, axis=1, kind="stable")[:, :kept]
        ids[:, :kept] = np.take_along_axis(mined.ids, columns, axis=1)
        scores[:, :kept] = np.take_along_axis(mined.scores, columns, axis=1)
        few = np.flatnonzero(inside.sum(axis=1) < kept)
        if len(few):
            positions, scores[few, :kept] = best(scored(call, quantised(call)[few], allowed), kept)
            ids[few, :kept] = allowed[positions]
            how += f", {len(few)} of {len(queries)} queries scored on the host: of {wide} rows too few were allowed"
    return {"ids": ids, "scores": scores, "count": np.full(len(queries), kept, np.int64)}, how


def _by_signs(device: BoardDevice, call: Call, metrics: dict[str, float]) -> tuple[dict[str, npt.NDArray[Any]], str]:
    if call.options["scan"] != "signs":
        raise UnsupportedError(
            f"{device.name} ({device.path}) keeps only the signs of nits: it scans signs, not {call.options['scan']}"
        )
    found, how = scanned(device, candidates_call(call), metrics, "k * oversample, times rerank")
    return rescored(call, quantised(call), found), f"{how}, candidates scored by nits on the host"
