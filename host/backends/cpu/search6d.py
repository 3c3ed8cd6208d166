"""``search6d`` on the CPU."""

from typing import TYPE_CHECKING

from ninefold.numerics.search6d import check_records, embeddings_call, rescored
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from . import mine
from .similarity6d import compared

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "load", "run"]

RATING = 8


def run(device: "CpuDevice", call: Call) -> Answer:
    """Search by the nits of the embeddings, and score what is found."""
    with device.timed() as metrics:
        found = mine.run(device, embeddings_call(call)).values
        values = rescored(
            call, found, lambda a, b: compared(device.engine, a, b, own=len(b["links"]) // len(a["links"]))
        )
    return Answer(values, device.path, metrics)


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - records are read where they are
    """Check a database."""
    check_records(database)
