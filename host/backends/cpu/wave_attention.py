"""``wave_attention`` on the CPU."""

from typing import TYPE_CHECKING

from ninefold.numerics.attention import attend
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Attend to all positions, with matrix products for scores and sums."""
    with device.timed() as metrics:
        attended = attend(call)
    return Answer({"attended": attended}, "numpy", metrics)
