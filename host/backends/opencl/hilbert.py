"""``hilbert`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["BLOCK_WORDS", "RATING", "run"]

RATING = {"gpu": 7, "npu": 3, "cpu": 3}
#: Coordinates in one launch.
BLOCK_WORDS = 1 << 22


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Find the index of each point."""
    coords = np.ascontiguousarray(call.arguments["coords"], np.uint64)
    points, dimensions = coords.shape
    with device.timed() as metrics:
        index, step = np.empty(points, np.uint64), BLOCK_WORDS // dimensions
        kernel = device.launcher.kernel(("hilbert.cl",), "encode", DIMENSIONS=dimensions, BITS=call.options["bits"])
        for first in range(0, points, step):
            part, out = coords[first : first + step], index[first : first + step]
            device.launcher.launch(kernel, (len(part),), None, part, np.uint64(len(part)), Out(out))
    return Answer({"index": index}, f"one point a work-item on {device.entry.name}", metrics)
