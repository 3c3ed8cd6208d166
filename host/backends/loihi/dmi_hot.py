"""``dmi_hot`` on Loihi: a race of neurons by the bits of the momentum."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.momentum import HOT
from ninefold.spec.signature import Call

from .sorter import DIGIT_BITS
from .topk import keys

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "run"]

RATING = 3


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Race all clusters, and keep the first k that are hot."""
    momentum, k = np.asarray(call.state().arrays["momentum"]), call.options["k"]
    ids, values = np.full(k, NO_ID, np.int64), np.full(k, -np.inf, np.float32)
    sorter = device.sorter(len(momentum))
    with device.timed(sorter.cores) as metrics:
        best = sorter.best(keys(momentum[None])[0], k)
        best = best[momentum[best] >= np.float32(HOT)]
        ids[: len(best)], values[: len(best)] = best, momentum[best]
    answer = {"ids": ids, "momentum": values, "count": np.array(len(best), np.int64)}
    return Answer(answer, f"{device.path}, {DIGIT_BITS} bits of the momentum per race", metrics)
