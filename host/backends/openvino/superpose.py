"""``superpose`` by OpenVINO."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .quantise import nits_of

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 2, "cpu": 2}


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Add the real parts, and quantise the sums."""
    device.check_exact()
    shape = call.arguments["a"].shape
    # One input, because only the first is split and padded for devices with fixed shapes.
    pair = np.stack([np.asarray(call.arguments[name]).real for name in ("a", "b")], axis=-2)
    nits = np.empty(shape, np.int8)
    with device.timed() as metrics:
        if nits.size:
            size = device.target.size(shape[-1])
            graph = device.graph(("superpose", size), lambda: _graph(device.target, size))
            nits = graph(pair.reshape(-1, 2, shape[-1]))[0]
    return Answer({"nits": nits.reshape(shape)}, device.path("graph"), metrics)


def _graph(target: Target, size: int) -> Graph:
    op = target.op
    pair = op.parameter([target.rows, 2, size], np.float32)

    def wave(number: int) -> Any:
        return op.gather(pair, op.constant(np.int64(number)), op.constant(np.int64(1)))

    return target.compile([pair], [nits_of(target, op.add(wave(0), wave(1)), "linear").output(0)])
