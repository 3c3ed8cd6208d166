"""``candidates`` by OpenVINO."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Product, all_scores
from ninefold.numerics.databases import checked_nits
from ninefold.numerics.signs import sign_nits
from ninefold.numerics.stages import eligible_rows, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .quantise import quantise

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "derive", "load", "run"]

#: The graph reads four bits for each sign, so the processor is rated far below the kernel of the backend ``cpu``.
RATING = {"gpu": 5, "npu": 3, "cpu": 2}


def load(device: "OpenVinoDevice", database: Database) -> None:  # noqa: ARG001 - graphs are compiled when needed
    """Check a database."""
    checked_nits(database)


def derive(device: "OpenVinoDevice", database: Database) -> list[tuple[int, Product]]:
    """Compile the signs of a database, as nits of 1 and -1, into graphs that stay on the device."""
    return device.products(sign_nits(checked_nits(database), int(database.attributes["dimensions"])))


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Quantise and score on the device; select on the host."""
    device.check_exact()
    database = call.database()
    products = device.residents.form(database, derive)
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(device, np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        values = selected(all_scores(nits, products), call.options["keep"], eligible_rows(call, nits))
    return Answer(values, device.path("product with signs, selection on the host"), metrics)
