"""``candidates`` on OpenCL."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.signs import sign_plane
from ninefold.numerics.stages import eligible_rows, quantised, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .memory import RowBuffer
from .signs import best_rows, coarse_scores

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "derive", "found", "load", "run"]

#: On a processor the backend ``cpu`` looks sums up in registers.
RATING = {"gpu": 6, "npu": 4, "cpu": 3}


def load(device: "OpenClDevice", database: Database) -> None:  # noqa: ARG001 - signs are copied when needed
    """Check a database."""
    checked_nits(database)


def derive(device: "OpenClDevice", database: Database) -> list[RowBuffer]:
    """Copy the signs of a database, one bit a dimension, to the device."""
    return device.memory.load_signs(sign_plane(checked_nits(database), int(database.attributes["dimensions"])))


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Quantise the queries and scan the signs on the device."""
    with device.timed() as metrics:
        values = found(device, call, quantised(call))
    return Answer(values, f"{device.kernels(call.sizes['D']).path}, signs counted", metrics)


def found(device: "OpenClDevice", call: Call, queries: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[Any]]:
    """Return the values of a call of ``candidates``, whose queries have these nits."""
    parts: list[RowBuffer] = device.residents.form(call.database(), derive)
    rows, keep = call.sizes["N"], call.options["keep"]
    if (eligible := eligible_rows(call, queries)) is not None:
        return selected(coarse_scores(device, parts, queries, rows), keep, eligible)
    return best_rows(device, parts, queries, rows, keep)
