"""``mine`` by OpenVINO."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Product, search
from ninefold.numerics.databases import checked_nits
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .quantise import quantise

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "load", "run"]

#: The processor is rated below the kernel of the backend ``cpu``.
RATING = {"gpu": 6, "npu": 3, "cpu": 3}


def load(device: "OpenVinoDevice", database: Database) -> list[tuple[int, Product]]:
    """Compile the packed nits of a database into graphs that stay on the device."""
    return device.products(checked_nits(database))


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Quantise and score on the device; select exactly on the host."""
    device.check_exact()
    database, k = call.database(), call.options["k"]
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(device, np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        ids, scores = search(nits, device.residents.form(database, load), k)
        count = np.full(len(ids), min(k, call.sizes["N"]), np.int64)
    path = device.path("product with packed nits, selection on the host")
    return Answer({"ids": ids, "scores": scores, "count": count}, path, metrics)
