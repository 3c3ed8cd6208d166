"""``embed`` on the CPU."""

from typing import TYPE_CHECKING

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:  # noqa: ARG001 - OpenVINO finds the processor by itself
    """Run the sentence model on sequences."""
    # Imported here: a search over vectors needs no sentence model.
    from ninefold.host.embedding.sequences import embed

    return embed(call)
