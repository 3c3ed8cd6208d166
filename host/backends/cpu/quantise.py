"""``quantise`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise each number."""
    with device.timed() as metrics:
        nits = quantise(np.asarray(call.arguments["x"]), call.options["scale"], call.options["mode"])
    return Answer({"nits": nits}, "numpy", metrics)
