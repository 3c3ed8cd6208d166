"""Golden model of ``dmi_hot``, by sorting."""

from typing import Any

import numpy as np

from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

__all__ = ["run"]


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    momentum, k = call.state().arrays["momentum"].tolist(), call.options["k"]
    hot = sorted((-m, cluster) for cluster, m in enumerate(momentum) if m >= 0.1)[:k]
    empty = k - len(hot)
    return {
        "ids": np.array([cluster for _, cluster in hot] + [NO_ID] * empty, np.int64),
        "momentum": np.array([-m for m, _ in hot] + [-np.inf] * empty, np.float32),
        "count": np.array(len(hot), np.int64),
    }
