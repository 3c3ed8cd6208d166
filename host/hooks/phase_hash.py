"""Spot check of ``phase_hash``."""

from cmath import phase
from math import floor, pi

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def _quadrant(z: complex) -> int:
    if z.real == 0 or z.imag == 0:  # on an axis, where the phase is not exact: its direction counts
        return {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}.get((_sign(z.real), _sign(z.imag)), 0)
    return floor(2 * phase(complex(_sign(z.real), _sign(z.imag))) / pi) % 4


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Hash sampled points again, by their angles."""
    psi, found = np.asarray(call.arguments["psi"]), np.asarray(answer.values["hash"])
    if not len(psi):
        return ""
    rows = generator.integers(len(psi), size=SAMPLED_ROWS)
    for row, point, value in zip(rows.tolist(), psi[rows].tolist(), found[rows].tolist(), strict=True):
        if value != sum(_quadrant(z) << 2 * d for d, z in enumerate(point)):
            return f"the hash of point {row} is not {value:#x}"
    return ""
