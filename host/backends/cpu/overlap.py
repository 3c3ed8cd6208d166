"""``overlap`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.resonance import cosines
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Square the cosines, from matrix products in double precision."""
    a, b = (np.asarray(call.arguments[name]) for name in ("a", "b"))
    with device.timed() as metrics:
        found = cosines(a, b)
        overlap = np.square(found, out=found).astype(np.float32)
    return Answer({"overlap": overlap}, "numpy", metrics)
