"""``resonance`` on the CPU, and the cosines that ``overlap`` shares with it."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.numerics.resonance import cosines
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "compared", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Compute the cosine of each query and each vector."""
    return compared(device, call, squared=False)


def compared(device: "CpuDevice", call: Call, *, squared: bool) -> Answer:
    """Answer a call with the cosines, or their squares, as the operator's one result."""
    a, b = (np.asarray(call.arguments[name]) for name in ("a", "b"))
    kernel, (result,) = device.engine.kernel, call.operator.results
    with device.timed() as metrics:
        if kernel is None:
            found = cosines(a, b)
            rounded: npt.NDArray[np.float32] = (found * found if squared else found).astype(np.float32)
            return Answer({result.name: rounded}, "numpy", metrics)
        rounded = np.empty((len(a), len(b)), np.float32)
        given = [one for x in (a, b) for one in (np.ascontiguousarray(x), x.dtype.itemsize // 4, len(x))]
        kernel("resonance", *given, a.shape[1], int(squared), rounded)
    return Answer({result.name: rounded}, device.path, metrics)
