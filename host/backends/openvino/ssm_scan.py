"""``ssm_scan`` by OpenVINO: several steps as one product of matrices."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.numerics.state_space import real_model, several_steps
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 2}

#: Largest number of steps of a product, and of its inputs and outputs.
_STEPS, _NUMBERS = 32, 1024


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Run the model, a product for some steps of all sequences at a time.

    The state passes from product to product in float32. The powers of A in the matrix are rounded to float32 too.
    """
    device.check_exact()
    with device.timed() as metrics:
        model = real_model(call)
        (sequences, steps, inputs), outputs = model.x.shape, len(model.c)
        y, h = np.empty((sequences, steps, outputs), np.float32), model.h.astype(np.float32)
        most = max(1, min(_STEPS, _NUMBERS // (inputs + outputs)))
        matrix = np.empty((0, 0), np.float32)
        for first in range(0, steps if sequences else 0, most):
            some = min(most, steps - first)
            if some != (matrix.shape[0] - h.shape[1]) // inputs:
                with np.errstate(over="ignore"):
                    matrix = several_steps(model, some).astype(np.float32)
            rows, columns = (device.target.size(size) for size in matrix.shape)
            graph = device.graph(("ssm_scan", rows, columns), partial(_graph, device.target, rows, columns))
            row = np.concatenate([model.x[:, first : first + some].reshape(sequences, -1), h], axis=1)
            found = graph(row, matrix)[0]
            y[:, first : first + some] = found[:, : some * outputs].reshape(sequences, some, outputs)
            h = found[:, some * outputs :]
        values = model.results(y, h.astype(np.float64))
    return Answer(values, device.path("graph"), metrics)


def _graph(target: Target, rows: int, columns: int) -> Graph:
    op = target.op
    x, matrix = op.parameter([target.rows, rows], np.float32), op.parameter([rows, columns], np.float32)
    return target.compile([x, matrix], [op.matmul(x, matrix, False, False).output(0)])
