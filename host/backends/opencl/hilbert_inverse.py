"""``hilbert_inverse`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .hilbert import BLOCK_WORDS
from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 7, "npu": 3, "cpu": 3}


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Find the point at each index."""
    index, dimensions = np.ascontiguousarray(call.arguments["index"], np.uint64), call.options["dimensions"]
    with device.timed() as metrics:
        coords, step = np.empty((len(index), dimensions), np.uint64), BLOCK_WORDS // dimensions
        kernel = device.launcher.kernel(("hilbert.cl",), "decode", DIMENSIONS=dimensions, BITS=call.options["bits"])
        for first in range(0, len(index), step):
            part, out = index[first : first + step], coords[first : first + step]
            device.launcher.launch(kernel, (len(part),), None, part, np.uint64(len(part)), Out(out))
    return Answer({"coords": coords}, f"one point a work-item on {device.entry.name}", metrics)
