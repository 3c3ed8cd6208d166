"""``membrane_hot`` on Loihi: a race of neurons by the bits of the voltages."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.membranes import hot_list
from ninefold.spec.data import Answer
from ninefold.spec.membranes import HOT_VOLTAGE
from ninefold.spec.signature import Call

from .sorter import DIGIT_BITS
from .topk import keys

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "run"]

RATING = 3


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Race all clusters, and keep the first k that are hot."""
    voltages, k = np.asarray(call.state().arrays["voltage"]), call.options["k"]
    sorter = device.sorter(len(voltages))
    with device.timed(sorter.cores) as metrics:
        best = sorter.best(keys(voltages[None])[0], k)
        values = hot_list(voltages, best[voltages[best] >= HOT_VOLTAGE], k)
    return Answer(values, f"{device.path}, {DIGIT_BITS} bits of the voltages per race", metrics)
