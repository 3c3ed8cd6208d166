"""``hilbert`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.hilbert import encoded
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Find the index of each point."""
    coords, bits, kernel = np.asarray(call.arguments["coords"]), call.options["bits"], device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"index": encoded(coords, bits)}, "numpy", metrics)
        index = np.empty(len(coords), np.uint64)
        kernel("hilbert", np.ascontiguousarray(coords, np.uint64), *coords.shape, bits, index)
    return Answer({"index": index}, device.path, metrics)
