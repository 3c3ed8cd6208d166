"""``hilbert_inverse`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.hilbert import decoded
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Find the point at each index."""
    index, kernel = np.asarray(call.arguments["index"]), device.engine.kernel
    dimensions, bits = call.options["dimensions"], call.options["bits"]
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"coords": decoded(index, dimensions, bits)}, "numpy", metrics)
        coords = np.empty((len(index), dimensions), np.uint64)
        kernel("hilbert_inverse", np.ascontiguousarray(index, np.uint64), len(index), dimensions, bits, coords)
    return Answer({"coords": coords}, device.path, metrics)
