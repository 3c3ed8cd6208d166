"""Spot check of ``similarity``."""

from math import isqrt

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import RECIPROCAL_BITS
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Recompute the scores of sampled vectors, each for a sampled query."""
    q, c = np.asarray(call.arguments["q"]), np.asarray(call.arguments["c"])
    if not len(q) or not len(c):
        return ""
    queries, rows = generator.integers(len(q), size=SAMPLED_ROWS), generator.integers(len(c), size=SAMPLED_ROWS)
    for query, row in zip(queries.tolist(), rows.tolist(), strict=True):
        score = int(q[query].astype(np.int64) @ c[row].astype(np.int64))
        if call.options["normalised"]:
            squares = int(c[row].astype(np.int64) @ c[row].astype(np.int64))
            reciprocal = (isqrt((1 << RECIPROCAL_BITS) // squares) + 1) >> 1 if squares else 0
            score = (score * reciprocal) >> 8
        if answer.values["scores"][query, row] != score:
            return f"the score of query {query} and vector {row} is {score}, not {answer.values['scores'][query, row]}"
    return ""
