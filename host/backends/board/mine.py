"""``mine`` on a board: the whole search."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import grid, quantise
from ninefold.numerics.ranked import empty
from ninefold.numerics.stages import check_plain
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import BoardDevice

__all__ = ["RATING", "load", "run"]

#: The fabric is built for searching; a simulated board computes slowly on the processor.
RATING = {"fpga": 9, "simulation": 1}


def load(device: "BoardDevice", database: Database) -> None:
    """Load the rows that fit into the board's store."""
    device.holding(database)


def run(device: "BoardDevice", call: Call) -> Answer:
    """Send the queries and return the best rows of each.

    A simulated board serves verification, so it quantises the queries itself. Over a real link nits take a quarter of
    the bytes, so the host quantises if the board accepts nits.

    Raises
    ------
    UnsupportedError
        More results per query or more dimensions than the board supports; the message gives both numbers.
    """
    check_plain(call, device.name)
    database, k = call.database(), call.options["k"]
    q = np.asarray(call.arguments["q"])
    ids, scores = empty(len(q), k, np.int32)
    count = min(k, call.sizes["N"])
    with device.timed() as metrics:
        identity = device.connect().identity
        if k > identity.k:
            raise UnsupportedError(
                f"{device.name} returns at most {identity.k} results per query, not {k} (k, times rerank)"
            )
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        on_board = FORMAT_GRID in identity.formats and (device.simulated or FORMAT_PACKED not in identity.formats)
        if len(q) and count:
            board = device.holding(database)
            queries = grid(q, scale) if on_board else pack(quantise(q, scale, mode))  # type: ignore[arg-type]
            mined = board.search(queries, count)
            ids[:, :count], scores[:, :count] = mined.ids, mined.scores
            metrics["cycles"] = mined.cycles
    path = device.path if on_board else f"{device.path}, queries quantised on the host"
    return Answer({"ids": ids, "scores": scores, "count": np.full(len(q), count, np.int64)}, path, metrics)
