"""``membrane_update`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.membranes import updated
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "step"]

RATING = 3


def step(device: "CpuDevice", call: Call) -> Answer:
    """Make all updates, in rounds of one update a cluster."""
    state = call.state()
    clusters, cosines = (np.asarray(call.arguments[name]) for name in ("clusters", "cosines"))
    with device.timed() as metrics:
        voltages = updated(np.asarray(state.arrays["voltage"]), clusters, cosines)
    return Answer({}, "numpy", metrics, state.next({"voltage": voltages}))
