"""``search6d`` on OpenCL: the nits of embeddings stay on the device; records that are scored are copied to it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.rows import take
from ninefold.numerics.search6d import check_records, embeddings_call, rescored
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from . import mine
from .memory import RowBuffer
from .similarity6d import compared

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "load", "run"]

RATING = {"gpu": 6, "npu": 4, "cpu": 3}


def load(device: "OpenClDevice", database: Database) -> list[RowBuffer]:
    """Check a database, and copy its nits."""
    check_records(database)
    return mine.load(device, database)


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Search by the nits of the embeddings, and score what is found."""

    def compare(a: Mapping[str, npt.NDArray[Any]], b: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        queries = len(a["links"])
        each = len(b["links"]) // queries
        found = np.empty((queries, each), np.float32)
        for q in range(queries):
            own = slice(q * each, (q + 1) * each)
            found[q] = compared(device, take(a, slice(q, q + 1)), take(b, own))[0]
        return found

    with device.timed() as metrics:
        first = mine.run(device, embeddings_call(call))
        values = rescored(call, first.values, compare)
    return Answer(values, first.path, metrics)
