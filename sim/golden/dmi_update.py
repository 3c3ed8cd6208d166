"""Golden model of ``dmi_update``: one update after another, one element after another."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call

__all__ = ["cosine", "mixed", "step"]

#: Smallest normal float32 number.
_NORMAL = 2.0**-126


def mixed(row: npt.NDArray[np.float16], vector: npt.NDArray[np.float32], weight: np.float32) -> npt.NDArray[np.float16]:
    """Return a row after a vector of that weight: each operation rounds to float32, and storing to float16."""
    rest = np.float32(1) - weight
    return np.array(
        [np.float16(rest * np.float32(m) + weight * v) for m, v in zip(row, vector, strict=True)], np.float16
    )


def cosine(vector: npt.NDArray[np.float32], row: npt.NDArray[np.float16]) -> float:
    """Return the cosine of the angle between two vectors, 0 if one of them is zero or has only subnormal numbers."""
    v, m = vector.astype(np.float64), row.astype(np.float64)
    if np.abs(v).max() < _NORMAL or not m.any():
        return 0.0
    return float(v @ m) / (math.sqrt(v @ v) * math.sqrt(m @ m))


def step(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer a checked call: no values, and the memory after all updates."""
    after = {name: np.array(array) for name, array in call.state().arrays.items()}
    given = (call.arguments[name] for name in ("clusters", "vectors", "times"))
    for cluster, vector, time in zip(*given, strict=True):
        c, t = int(cluster), float(time)
        since = t - float(after["last"][c]) if after["count"][c] else 0.0
        weight = np.float32(0.05 * math.exp(-since / 300))
        after["rows"][c] = mixed(after["rows"][c], np.asarray(vector), weight)
        share = cosine(np.asarray(vector), after["rows"][c])
        after["momentum"][c] = 0.9 * float(after["momentum"][c]) + 0.1 * share
        after["last"][c] = after["clock"][0] = t
        after["count"][c] += 1
    return {}, after
