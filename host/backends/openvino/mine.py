"""``mine`` by OpenVINO."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Product, all_scores, search
from ninefold.numerics.databases import checked_nits
from ninefold.numerics.stages import is_plain, mined
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .candidates import derive
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
        if is_plain(call):
            ids, scores = search(nits, device.residents.form(database, load), k)
            values = {"ids": ids, "scores": scores, "count": np.full(len(ids), min(k, call.sizes["N"]), np.int64)}
        else:
            form = device.residents.form
            values = mined(
                call,
                nits,
                lambda queries: all_scores(queries, form(database, load)),
                lambda queries: all_scores(queries, form(database, derive)),
            )
    return Answer(values, device.path("product with packed nits, selection on the host"), metrics)
