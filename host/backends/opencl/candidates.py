"""``candidates`` on OpenCL."""

from typing import TYPE_CHECKING

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.signs import sign_nits
from ninefold.numerics.stages import eligible_rows, quantised, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .memory import RowBuffer
from .scoring import all_scores

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "derive", "load", "run"]

#: The kernels read four bits for each sign, so a processor is rated far below the backend ``cpu``.
RATING = {"gpu": 6, "npu": 4, "cpu": 2}


def load(device: "OpenClDevice", database: Database) -> None:  # noqa: ARG001 - signs are copied when needed
    """Check a database."""
    checked_nits(database)


def derive(device: "OpenClDevice", database: Database) -> list[RowBuffer]:
    """Copy the signs of a database, as nits of 1 and -1, to the device."""
    return device.memory.load_rows(sign_nits(checked_nits(database), int(database.attributes["dimensions"])))


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise the queries, score them against the signs on the device, and select on the host."""
    parts: list[RowBuffer] = device.residents.form(call.database(), derive)
    with device.timed() as metrics:
        queries = quantised(call)
        scores = all_scores(device, parts, queries, call.sizes["N"])
        values = selected(scores, call.options["keep"], eligible_rows(call, queries))
    return Answer(values, f"{device.kernels(call.sizes['D']).path}, selection on the host", metrics)
