"""``phase_hash`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.phases import phase_hash
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Hash each point."""
    psi, kernel = np.asarray(call.arguments["psi"]), device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"hash": phase_hash(psi)}, "numpy", metrics)
        found = np.empty(len(psi), np.uint32)
        kernel("phase_hash", np.ascontiguousarray(psi), *psi.shape, found)
    return Answer({"hash": found}, device.path, metrics)
