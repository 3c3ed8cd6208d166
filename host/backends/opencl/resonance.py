"""``resonance`` on OpenCL, and the cosines that ``overlap`` shares with it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.resonance import unit_vectors
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "compared", "run"]

RATING = {"gpu": 6, "npu": 4, "cpu": 3}

#: Numbers of vectors, and results, in one launch.
_BLOCK = 1 << 22


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Compute the cosine of each query and each vector."""
    return compared(device, call, squared=False)


def compared(device: "OpenClDevice", call: Call, *, squared: bool) -> Answer:
    """Answer a call with the cosines, or their squares, as the operator's one result."""
    a, b = (np.asarray(call.arguments[name]) for name in ("a", "b"))
    (result,) = call.operator.results
    dimensions = a.shape[1]
    with device.timed() as metrics:
        found = np.empty((len(a), len(b)), np.float32)
        kernel = device.launcher.kernel(("sums.cl", "resonance.cl"), "resonance", SQUARED=int(squared))
        queries, rows = max(1, _BLOCK // max(1024, dimensions)), max(1, min(1024, _BLOCK // dimensions))
        for row in range(0, len(b) if len(a) else 0, rows):
            part = device.memory.put(_units(b[row : row + rows]).T)
            for q in range(0, len(a), queries):
                units = _units(a[q : q + queries])
                out = np.empty((len(units), min(rows, len(b) - row)), np.float32)
                numbers = np.uint64(out.shape[1]), np.int32(dimensions)
                device.launcher.launch(kernel, out.shape[::-1], None, units, part, *numbers, Out(out))
                found[q : q + queries, row : row + rows] = out
    return Answer({result.name: found}, f"one pair a work-item on {device.entry.name}", metrics)


def _units(vectors: npt.NDArray[Any]) -> npt.NDArray[np.complex64]:
    """Return vectors divided by their lengths; on the host, since a device may drop subnormal numbers."""
    return unit_vectors(vectors).astype(np.complex64)
