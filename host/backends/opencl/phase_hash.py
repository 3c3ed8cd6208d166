"""``phase_hash`` on OpenCL."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call
from ninefold.spec.waves import PHASES

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 4, "npu": 3, "cpu": 3}

#: Points in one launch.
_BLOCK = 1 << 21


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Hash each point."""
    psi = np.ascontiguousarray(call.arguments["psi"])
    with device.timed() as metrics:
        found = np.empty(len(psi), np.uint32)
        kernel = device.launcher.kernel(("phase_hash.cl",), "phase_hash", PHASES=PHASES)
        for first in range(0, len(psi), _BLOCK):
            part, out = psi[first : first + _BLOCK], found[first : first + _BLOCK]
            device.launcher.launch(kernel, (len(part),), None, part, np.uint64(len(part)), Out(out))
    return Answer({"hash": found}, f"one point a work-item on {device.entry.name}", metrics)
