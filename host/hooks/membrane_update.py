"""Spot check of ``membrane_update``."""

import numpy as np

from ninefold.spec.data import Answer, State
from ninefold.spec.membranes import COSINE_ONE, LEAK, LEAK_BITS, WEIGHT_UNIT
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Make all updates of sampled clusters again."""
    state = answer.state
    if not isinstance(state, State):
        return "it has no next version of the membranes"
    clusters, cosines = (np.asarray(call.arguments[name]) for name in ("clusters", "cosines"))
    sampled = np.unique(clusters)
    if len(sampled) > SAMPLED_ROWS:
        sampled = generator.choice(sampled, SAMPLED_ROWS, replace=False)
    others = generator.integers(call.sizes["C"], size=SAMPLED_ROWS)
    for cluster in np.union1d(sampled, others).tolist():
        voltage = int(call.state().arrays["voltage"][cluster])
        for cosine in cosines[clusters == cluster].tolist():
            kept = abs(voltage) * ((1 << LEAK_BITS) - LEAK) >> LEAK_BITS
            voltage = (kept if voltage > 0 else -kept) + WEIGHT_UNIT * round(COSINE_ONE * cosine)
        if state.arrays["voltage"][cluster] != voltage:
            return f"the voltage of cluster {cluster} is {state.arrays['voltage'][cluster]}, not {voltage}"
    return ""
