"""Golden model of ``heterodyne``, one number after the other."""

from cmath import exp, phase
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["mixed", "run"]


def mixed(a: complex, b: complex, wa: float, wb: float, t: float) -> complex:
    """Return the sum of the two products, by amplitudes and phases."""
    pa, pb = phase(a), phase(b)
    return 0.1 * abs(a) * abs(b) * (exp(1j * ((wa + wb) * t + pa + pb)) + exp(1j * (abs(wa - wb) * t + pa - pb)))


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    a, b, wa, wb, t = (call.arguments[name].tolist() for name in ("a", "b", "wa", "wb", "t"))
    rows = [
        [mixed(x, y, u, w, time) for x, y, u, w in zip(*row, wa, wb, strict=True)]
        for *row, time in zip(a, b, t, strict=True)
    ]
    return {"mixed": np.array(rows, np.complex64).reshape(len(t), len(wa))}
