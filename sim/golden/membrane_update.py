"""Golden model of ``membrane_update``: the Loihi chip's arithmetic in Python's integers, one update after another."""

from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["leaked", "step"]


def leaked(voltage: int) -> int:
    """Return a voltage after the chip's decay of 410 in 4,096, which rounds toward zero."""
    size = abs(voltage) * (4096 - 410) // 4096
    return size if voltage >= 0 else -size


def step(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer a checked call: no values, and the membranes after all updates."""
    voltages = [int(voltage) for voltage in call.state().arrays["voltage"]]
    for cluster, cosine in zip(call.arguments["clusters"], call.arguments["cosines"], strict=True):
        # The product of a float32 number and 6560 is exact in float64.
        spikes = round(float(cosine) * 6560)
        voltages[cluster] = leaked(voltages[cluster]) + 64 * spikes
    return {}, {"voltage": np.array(voltages, np.int32)}
