"""Spot check of ``similarity6d``."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ninefold.spec.context import FADE_S, WEIGHTS, WITHOUT_LINKS
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["TOLERANCE", "check", "similarity"]

#: Bound of the operator.
TOLERANCE = 1e-5


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compute sampled pairs again, in double precision."""
    a, b, found = call.arguments["a"], call.arguments["b"], np.asarray(answer.values["similarity"])
    if not found.size:
        return ""
    for place in generator.integers(found.size, size=SAMPLED_ROWS).tolist():
        i, j = divmod(place, found.shape[1])
        wanted = similarity(a, i, b, j)
        if not abs(float(found[i, j]) - wanted) <= TOLERANCE:
            return f"the similarity of query {i} and record {j} is {found[i, j]:.8g}, not {wanted:.8g}"
    return ""


def similarity(a: Mapping[str, Any], i: int, b: Mapping[str, Any], j: int) -> float:
    """Return the similarity of record `i` of some columns and record `j` of others."""
    x, y = a["embedding"][i].astype(np.float64), b["embedding"][j].astype(np.float64)
    lengths = math.sqrt(x @ x) * math.sqrt(y @ y)
    seconds = abs(int(a["timestamp"][i]) - int(b["timestamp"][j])) * 1e-6
    horizon = max(FADE_S, float(a["horizon"][i]), float(b["horizon"][j]))
    bits = int(a["modality"][i]), int(b["modality"][j])
    either = (bits[0] | bits[1]).bit_count()
    causes = [set(one["link_hash"][row, : int(one["links"][row])].tolist()) for one, row in ((a, i), (b, j))]
    shared = len(causes[0] & causes[1]) / len(causes[0] | causes[1]) if all(causes) else WITHOUT_LINKS
    apart = abs(float(a["confidence"][i]) - float(b["confidence"][j]))
    parts = {
        "embedding": x @ y / lengths if lengths else 0.0,
        "time": math.exp(-seconds / horizon),
        "modality": (bits[0] & bits[1]).bit_count() / either if either else 0.0,
        "intent": _shares(a["intent"][i]) @ _shares(b["intent"][j]),
        "links": shared,
        "confidence": 1 - min(1.0, apart),
    }
    return min(max(sum(weight * float(parts[name]) for name, weight in WEIGHTS.items()), 0.0), 1.0)


def _shares(logits: Any) -> Any:
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    return powers / powers.sum()
