"""``overlap`` on the CPU."""

from typing import TYPE_CHECKING

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .resonance import compared

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Square the cosine of each query and each vector."""
    return compared(device, call, squared=True)
