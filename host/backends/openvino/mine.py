"""``mine`` by OpenVINO."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import search
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .quantise import quantise

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

#: The processor is rated below the kernel of the backend ``cpu``.
RATING = {"gpu": 6, "npu": 3, "cpu": 3}


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Quantise and score on the device; select exactly on the host."""
    device.check_exact()
    database, k = call.database(), call.options["k"]
    device.load(database)
    with device.timed() as metrics:
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        nits = quantise(device, np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
        ids, scores = search(nits, device.products(database.digest), k)
        count = np.full(len(ids), min(k, call.sizes["N"]), np.int64)
    path = device.path("product with packed nits, selection on the host")
    return Answer({"ids": ids, "scores": scores, "count": count}, path, metrics)
