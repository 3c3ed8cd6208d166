"""``candidates`` on a board of design signs: the scan of a search in stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import empty
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.signature import Call

from .encoding import encoded

if TYPE_CHECKING:
    from .device import BoardDevice

__all__ = ["RATING", "load", "run", "scanned"]

#: As for ``mine``; only boards of design signs run it.
RATING = {"fpga": 9, "simulation": 1}


def load(device: BoardDevice, database: Database) -> None:
    """Load the rows that fit into the board's store."""
    device.holding(database)


def run(device: BoardDevice, call: Call) -> Answer:
    """Send the queries, and the mask if there is one, and return the candidates of each.

    Raises
    ------
    UnsupportedError
        The board is a miner, the call chooses clusters, or it keeps more rows or has more dimensions than the board
        supports; the message gives both numbers.
    """
    with device.timed() as metrics:
        values, how = scanned(device, call, metrics)
    return Answer(values, f"{device.path}{how}", metrics)


def scanned(
    device: BoardDevice, call: Call, metrics: dict[str, float], keep_is: str = "keep"
) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Return the values of a call of ``candidates``, and the part of the path that tells who quantised the queries.

    Parameters
    ----------
    device : BoardDevice
        Board; connected, and loaded again if necessary.
    call : Call
        Call of ``candidates``.
    metrics : dict of str to float
        Takes the clock cycles.
    keep_is : str
        Options of the user's call that make up ``keep``, for errors.
    """
    identity, keep = device.connect().identity, call.options["keep"]
    if identity.design != "signs":
        raise UnsupportedError(f"{device.name} ({device.path}) is a miner, which scores all rows by nits, not by signs")
    if call.options["macro"] is not None:
        raise UnsupportedError(
            f"{device.name} ({device.path}) scans all rows of its store, without macro and micro: it has no centroids"
        )
    if keep > identity.keep:
        raise UnsupportedError(
            f"{device.name} keeps at most {identity.keep} candidates per query, not {keep} ({keep_is})"
        )
    queries, how = encoded(device, call, identity)
    ids, scores = empty(len(queries), keep, np.int32)
    number = 0
    if len(queries) and call.sizes["N"]:
        found = device.holding(call.database()).candidates(queries, keep, call.arguments["allowed"])
        number = found.ids.shape[1]
        ids[:, :number], scores[:, :number] = found.ids, found.scores
        metrics["cycles"] = found.cycles
    return {"ids": ids, "scores": scores, "count": np.full(len(queries), number, np.int64)}, how
