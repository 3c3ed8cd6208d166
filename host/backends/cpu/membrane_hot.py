"""``membrane_hot`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.membranes import hot
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 3


def run(device: "CpuDevice", call: Call) -> Answer:
    """Sort the hot clusters."""
    with device.timed() as metrics:
        values = hot(np.asarray(call.state().arrays["voltage"]), call.options["k"])
    return Answer(values, "numpy", metrics)
