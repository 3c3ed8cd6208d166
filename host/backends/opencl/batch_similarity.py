"""``batch_similarity`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.spec.context import BATCH_WEIGHTS, FADE_S
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 6, "npu": 4, "cpu": 3}

#: Numbers of vectors, and results, in one launch.
_BLOCK = 1 << 22


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Compare each query with each vector."""
    a, b = call.arguments["a"], call.arguments["b"]
    a_time, b_time = (_microseconds(call.arguments[name]) for name in ("a_time", "b_time"))
    dimensions = a.shape[1]
    constants = [np.float32(number) for number in (*BATCH_WEIGHTS, FADE_S)]
    with device.timed() as metrics:
        found = np.empty((len(a), len(b)), np.float32)
        kernel = device.launcher.kernel(("sums.cl", "batch_similarity.cl"), "batch_similarity")
        queries, rows = max(1, _BLOCK // max(1024, dimensions)), max(1, min(1024, _BLOCK // dimensions))
        for row in range(0, len(b) if len(a) else 0, rows):
            part = device.memory.put(b[row : row + rows].T)
            for q in range(0, len(a), queries):
                some = a[q : q + queries]
                out = np.empty((len(some), min(rows, len(b) - row)), np.float32)
                given = [some, a_time[q : q + queries], part, b_time[row : row + rows], *constants]
                numbers = np.uint64(out.shape[1]), np.int32(dimensions)
                device.launcher.launch(kernel, out.shape[::-1], None, *given, *numbers, Out(out))
                found[q : q + queries, row : row + rows] = out
    return Answer({"similarity": found}, f"one pair a work-item on {device.entry.name}", metrics)


def _microseconds(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return times as integers, which every device subtracts exactly; many have no double precision."""
    return np.rint(seconds * 1e6).astype(np.int64)
