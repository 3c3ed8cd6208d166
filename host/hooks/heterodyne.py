"""Spot check of ``heterodyne``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Mix sampled numbers again, by amplitudes and phases in double precision."""
    given, mixed = call.arguments, np.asarray(answer.values["mixed"])
    if not mixed.size:
        return ""
    for place in generator.integers(mixed.size, size=SAMPLED_ROWS).tolist():
        row, column = divmod(place, mixed.shape[1])
        a, b = complex(given["a"][row, column]), complex(given["b"][row, column])
        wa, wb, t = float(given["wa"][column]), float(given["wb"][column]), float(given["t"][row])
        phases = np.array([(wa + wb) * t, abs(wa - wb) * t]) + np.angle(a) + np.angle(b) * np.array([1, -1])
        amplitude = abs(a) * abs(b)
        wanted = complex(0.1 * amplitude * np.exp(1j * phases).sum())
        if not abs(complex(mixed[row, column]) - wanted) <= 2e-6 * max(1.0, amplitude):
            return f"number {column} of row {row} is {mixed[row, column]:.8g}, not {wanted:.8g}"
    return ""
