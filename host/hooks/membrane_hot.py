"""Spot check of ``membrane_hot``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN
from ninefold.spec.membranes import HOT_VOLTAGE
from ninefold.spec.signature import Call

from .dmi_hot import list_flaw

__all__ = ["check"]


def check(call: Call, answer: Answer, _: np.random.Generator) -> str:
    """Check order, limit, empty slots and the voltages."""
    return list_flaw(call, answer, "voltage", HOT_VOLTAGE, INT32_MIN)
