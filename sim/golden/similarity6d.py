"""Golden model of ``similarity6d``, one pair of records after another, in double precision."""

from collections.abc import Mapping
from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call

__all__ = ["run", "similarity6d"]


def similarity6d(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Return the similarity of two records, given by their fields: 0 to 1."""
    seconds = abs(int(a["timestamp"]) - int(b["timestamp"])) / 1e6
    horizon = max(float(a["horizon"]), float(b["horizon"]), 300.0)
    confidence = abs(float(a["confidence"]) - float(b["confidence"]))
    causes_a, causes_b = ({int(h) for h in one["link_hash"][: int(one["links"])]} for one in (a, b))
    bits_a, bits_b = ({bit for bit in range(8) if int(one["modality"]) >> bit & 1} for one in (a, b))
    total = (
        0.40 * _cosine(a["embedding"], b["embedding"])
        + 0.20 * exp(-seconds / horizon)
        + 0.15 * (len(bits_a & bits_b) / len(bits_a | bits_b) if bits_a | bits_b else 0.0)
        + 0.15 * float(_softmax(a["intent"]) @ _softmax(b["intent"]))
        + 0.05 * (len(causes_a & causes_b) / len(causes_a | causes_b) if causes_a and causes_b else 0.5)
        + 0.05 * (1 - min(1.0, confidence))
    )
    return min(max(total, 0.0), 1.0)


def _cosine(a: npt.NDArray[np.float16], b: npt.NDArray[np.float16]) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = float(np.sqrt(x @ x) * np.sqrt(y @ y))
    return float(x @ y) / lengths if lengths else 0.0


def _softmax(logits: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max())
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    a, b = (
        [{name: column[row] for name, column in call.arguments[side].items()} for row in range(call.sizes[size])]
        for side, size in (("a", "Q"), ("b", "N"))
    )
    found = np.array([[similarity6d(x, y) for y in b] for x in a])
    return {"similarity": found.reshape(len(a), len(b)).astype(np.float32)}
