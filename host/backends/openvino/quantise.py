"""``quantise`` by OpenVINO."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.spec.data import Answer
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, THRESHOLDS, Mode
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "nits_of", "quantise", "run"]

RATING = {"gpu": 6, "npu": 3, "cpu": 3}


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Quantise each number."""
    device.check_exact()
    with device.timed() as metrics:
        nits = quantise(device, np.asarray(call.arguments["x"]), call.options["scale"], call.options["mode"])
    return Answer({"nits": nits}, device.path("graph"), metrics)


def quantise(device: "OpenVinoDevice", x: npt.NDArray[Any], scale: float, mode: Mode) -> npt.NDArray[np.int8]:
    """Return the nits of `x` (..., D), int8 of its shape; only the real part of complex numbers counts."""
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and saturates
        rows = x.real.astype(np.float32).reshape(-1, x.shape[-1])
    target = device.target
    size = target.size(rows.shape[1])
    graph = device.graph(("quantise", mode, size), lambda: _graph(target, mode, size))
    nits: npt.NDArray[np.int8] = graph(rows, np.array([scale], np.float32))[0]
    return nits.reshape(x.shape)


def _graph(target: Target, mode: Mode, size: int) -> Graph:
    op = target.op
    x = op.parameter([target.rows, size], np.float32)
    # A parameter, not a constant, so that no compiler merges the two factors: only the second is a power of two.
    scale = op.parameter([1], np.float32)
    return target.compile([x, scale], [nits_of(target, op.multiply(x, scale), mode).output(0)])


def nits_of(target: Target, y: Any, mode: Mode) -> Any:
    """Return the node of the nits, int8, of a node of numbers in float32."""
    op = target.op

    def number(value: float) -> Any:
        return op.constant(np.float32(value))

    y = op.multiply(y, number(1 << GRID_FRACTION_BITS))
    g = op.clamp(op.round(y, "half_to_even"), float(GRID_MIN), float(GRID_MAX))
    nits = number(0)
    # Thresholds reached upward minus thresholds reached downward.
    for t in THRESHOLDS[mode].reached_at:
        up = op.convert(op.greater_equal(g, number(t)), "f32")
        down = op.convert(op.less_equal(g, number(-t)), "f32")
        nits = op.add(nits, op.subtract(up, down))
    return op.convert(nits, "i8")
