"""Spot check of ``ssm_scan``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Run the first steps of a sampled sequence again, and its last state if they are all."""
    y, last = (np.asarray(answer.values[name]) for name in ("y", "h"))
    if not len(y):
        return ""
    number = int(generator.integers(len(y)))
    x, a, b, c = (np.asarray(call.arguments[name]).astype(np.complex128) for name in "xABC")
    h0 = call.arguments["h0"]
    h = np.zeros(len(a), np.complex128) if h0 is None else np.asarray(h0)[number].astype(np.complex128)
    wanted = np.empty((min(SAMPLED_ROWS, y.shape[1]), len(c)), np.complex128)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(len(wanted)):
            h = a @ h + b @ x[number, step]
            wanted[step] = c @ h
        found = y[number, : len(wanted)]
        scale = np.abs(y[number]).max(initial=0)
        wrong = np.argwhere(np.isfinite(found) & (np.abs(found - wanted) > 1e-5 * scale))
        if len(wrong):
            step, output = wrong[0].tolist()
            return f"output {output} of sequence {number} at step {step} is {found[step, output]:.8g}, not as computed"
        if len(wanted) == y.shape[1] and (np.abs(last[number] - h) > 1e-5 * np.abs(h).max()).any():
            return f"the last state of sequence {number} is not as computed"
    return ""
