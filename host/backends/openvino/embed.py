"""``embed`` by OpenVINO."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 3, "npu": 9, "cpu": 3}


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Run the sentence model on sequences."""
    # Imported here: a search over vectors needs no sentence model.
    from ninefold.host.embedding.sequences import embed

    answer = embed(call, device.target.device, device.target.static)
    return replace(answer, path=device.path("sentence model"))
