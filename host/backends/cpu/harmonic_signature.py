"""``harmonic_signature`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.phases import harmonic_signature
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call
from ninefold.spec.waves import HARMONIC_THRESHOLDS

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Compare each squared magnitude with the thresholds."""
    psi, kernel = np.asarray(call.arguments["psi"]), device.engine.kernel
    with device.timed() as metrics:
        if kernel is None:
            return Answer({"signature": harmonic_signature(psi)}, "numpy", metrics)
        found = np.empty(psi.shape, np.int8)
        kernel("harmonic_signature", np.ascontiguousarray(psi), psi.size, np.array(HARMONIC_THRESHOLDS), found)
    return Answer({"signature": found}, device.path, metrics)
