"""Spot check of ``calibrate``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import CALIBRATION
from ninefold.spec.signature import Call

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:  # noqa: ARG001 - one row is enough
    """Check that the scale is one of the candidates."""
    sigma = float(np.std(np.asarray(call.arguments["sample"]).astype(np.float64)))
    multiple = float(answer.values["scale"]) * sigma
    candidates = CALIBRATION.multiples[call.options["mode"]]
    # A standard deviation summed in another order differs in its last bits.
    if min(abs(multiple - c) for c in candidates) > 1e-9:
        return f"the scale is {multiple:g} / sigma, not one of the candidates {candidates}"
    return ""
