"""Golden model of ``wave_attention``, by the definition in double precision."""

from math import exp, pi
from typing import Any

import numpy as np

from ninefold.sim.golden.heterodyne import mixed
from ninefold.spec.operators.wave_attention import HEADS_HZ
from ninefold.spec.signature import Call

__all__ = ["run", "score", "turned", "weights"]


def turned(vectors: list[list[complex]], times: list[float], frequency: float) -> Any:
    """Return vectors mixed with a wave of amplitude 1 and frequency 0, five times."""
    rows = zip(vectors, times, strict=True)
    return np.array([[5 * mixed(z, 1, 2 * pi * frequency, 0, t) for z in vector] for vector, t in rows])


def score(q: Any, k: Any, trace: float) -> float:
    """Return the score of a query and a position."""

    def square(x: Any) -> float:
        return float((x.real**2 + x.imag**2).sum())

    return (square(q + k) - square(q) - square(k)) / (square(q) + square(k) + 1e-9) + 0.1 * (9 - trace)


def weights(scores: list[float]) -> Any:
    """Return the softmax of scores, which are at most 2."""
    shares = np.array([exp(one) for one in scores])
    return shares / shares.sum()


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call, one head and one query after the other."""
    given = call.arguments
    q, k, v, trace = (given[name].tolist() for name in ("q", "k", "v", "trace"))
    tq, tk = (
        [0.0] * len(rows) if given[name] is None else given[name].tolist() for name, rows in (("tq", q), ("tk", k))
    )
    total = np.zeros((len(q), len(v[0])), np.complex128)
    for frequency in HEADS_HZ:
        keys = turned(k, tk, frequency)
        for number, query in enumerate(turned(q, tq, frequency)):
            scores = [score(query, key, one) for key, one in zip(keys, trace, strict=True)]
            total[number] += weights(scores) @ np.array(v)
    return {"attended": (total / len(HEADS_HZ)).astype(np.complex64)}
