"""``overlap`` on OpenCL."""

from typing import TYPE_CHECKING

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .resonance import compared

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 6, "npu": 4, "cpu": 3}


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Square the cosine of each query and each vector."""
    return compared(device, call, squared=True)
