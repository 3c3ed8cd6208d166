"""Golden model of ``membrane_hot``, by sorting."""

from typing import Any

import numpy as np

from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call

__all__ = ["run"]


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    voltages, k = call.state().arrays["voltage"].tolist(), call.options["k"]
    hot = sorted((-v, cluster) for cluster, v in enumerate(voltages) if 10 * v >= 2**22)[:k]
    empty = k - len(hot)
    return {
        "ids": np.array([cluster for _, cluster in hot] + [NO_ID] * empty, np.int64),
        "voltage": np.array([-v for v, _ in hot] + [INT32_MIN] * empty, np.int32),
        "count": np.array(len(hot), np.int64),
    }
