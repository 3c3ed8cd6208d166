"""``membrane_update`` on Loihi: a time step of the chip for each update of a cluster."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.membranes import currents
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "step"]

RATING = 3


def step(device: "LoihiDevice", call: Call) -> Answer:
    """Make all updates, of as many clusters at a time as the network has neurons."""
    state = call.state()
    clusters, inputs = np.asarray(call.arguments["clusters"]), currents(np.asarray(call.arguments["cosines"]))
    voltages = np.array(state.arrays["voltage"])
    touched, neurons = np.unique(clusters, return_inverse=True)
    network = device.membranes(len(touched))
    with device.timed(network.cores) as metrics:
        for start in range(0, len(touched), network.size):
            part = touched[start : start + network.size]
            here = (neurons >= start) & (neurons < start + len(part))
            voltages[part] = network.integrate(voltages[part], neurons[here] - start, inputs[here])
    return Answer({}, f"{device.path}, leaky membranes", metrics, state.next({"voltage": voltages}))
