"""``ssm_scan`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.numerics.state_space import RealModel, real_model
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Run the model step by step, in double precision."""
    kernel = device.engine.kernel
    with device.timed() as metrics:
        model = real_model(call)
        (sequences, steps, inputs), outputs = model.x.shape, len(model.c)
        y, h = np.empty((sequences, steps, outputs), np.float32), model.h
        if kernel is None:
            h = _scanned(model, y)
        else:
            kernel("ssm_scan", model.x, model.a, model.b, model.c, h, y, sequences, steps, inputs, h.shape[1], outputs)
        values = model.results(y, h)
    return Answer(values, "numpy" if kernel is None else device.path, metrics)


def _scanned(model: RealModel, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Write the outputs of all sequences to `y`, and return the last states."""
    h = model.h
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(y.shape[1]):
            h = h @ model.a.T + model.x[:, step] @ model.b.T
            y[:, step] = h @ model.c.T
    return h
