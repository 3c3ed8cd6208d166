"""``harmonic_signature`` on OpenCL devices with double precision."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.signature import Call
from ninefold.spec.waves import HARMONIC_THRESHOLDS

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 3}

#: Numbers in one launch.
_BLOCK = 1 << 23


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Compare each squared magnitude with the thresholds.

    Raises
    ------
    UnsupportedError
        The device has no double precision.
    """
    if not device.entry.has_doubles:
        raise UnsupportedError(
            f"{device.name} has no double precision, in which squared magnitudes are compared with the thresholds"
        )
    psi = np.ascontiguousarray(call.arguments["psi"])
    with device.timed() as metrics:
        found = np.empty(psi.shape, np.int8)
        numbers, signature = psi.reshape(-1), found.reshape(-1)
        thresholds = [np.float64(threshold) for threshold in HARMONIC_THRESHOLDS]
        kernel = device.launcher.kernel(("harmonic_signature.cl",), "harmonic_signature")
        for first in range(0, psi.size, _BLOCK):
            part, out = numbers[first : first + _BLOCK], signature[first : first + _BLOCK]
            device.launcher.launch(kernel, (len(part),), None, part, np.uint64(len(part)), *thresholds, Out(out))
    return Answer({"signature": found}, f"one number a work-item on {device.entry.name}", metrics)
