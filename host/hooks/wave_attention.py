"""Spot check of ``wave_attention``."""

from math import pi

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.operators.wave_attention import EPSILON, HEADS_HZ
from ninefold.spec.signature import Call

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Attend again for a sampled query, in double precision."""
    given, attended = call.arguments, np.asarray(answer.values["attended"])
    if not len(attended):
        return ""
    number = int(generator.integers(len(attended)))
    q = np.asarray(given["q"])[number].astype(np.complex128)
    k, v = (np.asarray(given[name]).astype(np.complex128) for name in ("k", "v"))
    apart = np.zeros(len(k)) if given["tq"] is None else given["tq"][number] - np.asarray(given["tk"])
    squares = np.linalg.norm(q) ** 2 + np.linalg.norm(k, axis=1) ** 2 + EPSILON
    wanted = np.zeros(v.shape[1], np.complex128)
    for frequency in HEADS_HZ:
        interference = 2 * (k.conj() @ q * np.exp(2j * pi * frequency * apart)).real / squares
        shares = np.exp(interference + 0.1 * (9 - np.asarray(given["trace"]).astype(np.float64)))
        wanted += shares @ v / shares.sum() / len(HEADS_HZ)
    if not (np.abs(attended[number] - wanted) <= 1e-5 * np.abs(v).max()).all():
        return f"the weighted sum of query {number} is not as computed"
    return ""
