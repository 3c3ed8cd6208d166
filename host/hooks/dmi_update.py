"""Spot check of ``dmi_update``."""

import math

import numpy as np

from ninefold.spec.data import Answer, State
from ninefold.spec.momentum import DECAY, FADE_S, SMALLEST_NORMAL, WEIGHT
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Make all updates of sampled clusters again, and compare sampled other clusters with the version before."""
    before, state = call.state(), answer.state
    if not isinstance(state, State):
        return "it has no next version of the memory"
    clusters = np.asarray(call.arguments["clusters"])
    touched = np.unique(clusters)
    if len(touched) > SAMPLED_ROWS:
        touched = generator.choice(touched, SAMPLED_ROWS, replace=False)
    for cluster in touched.tolist():
        if flaw := _differs(call, state, cluster, np.flatnonzero(clusters == cluster)):
            return flaw
    if len(clusters) and state.arrays["clock"][0] != call.arguments["times"][-1]:
        return f"the clock is {state.arrays['clock'][0]}, not {call.arguments['times'][-1]}"
    for cluster in np.setdiff1d(generator.integers(call.sizes["C"], size=SAMPLED_ROWS), clusters).tolist():
        for name in ("rows", "momentum", "last", "count", "version"):
            if (state.arrays[name][cluster] != before.arrays[name][cluster]).any():
                return f"{name} of cluster {cluster}, which no vector updates, changed"
    return ""


def _differs(call: Call, state: State, cluster: int, updates: np.ndarray) -> str:
    """Return what differs in a cluster after its updates."""
    arrays = call.state().arrays
    row, m, last, count = (arrays[name][cluster] for name in ("rows", "momentum", "last", "count"))
    for at in updates:
        time, vector = float(call.arguments["times"][at]), np.asarray(call.arguments["vectors"][at])
        weight = np.float32(WEIGHT * math.exp((last - time) / FADE_S if count else 0.0))
        row = ((np.float32(1) - weight) * row.astype(np.float32) + weight * vector).astype(np.float16)
        v, r = vector.astype(np.float64), row.astype(np.float64)
        square = (v @ v) * (r @ r) if np.abs(v).max() >= SMALLEST_NORMAL else 0.0
        m = np.float32(DECAY * m + (1 - DECAY) * (v @ r / math.sqrt(square) if square else 0.0))
        last, count = time, count + 1
    after = state.arrays
    if (wrong := np.flatnonzero(after["rows"][cluster] != row)).size:
        at = wrong[0]
        return f"rows[{cluster}, {at}] is {row[at]}, not {after['rows'][cluster, at]}"
    if not abs(after["momentum"][cluster] - m) <= 1e-5:
        return f"the momentum of cluster {cluster} is {m}, not {after['momentum'][cluster]}"
    if (after["last"][cluster], after["count"][cluster]) != (last, count):
        return f"cluster {cluster} has {count} updates until {last}"
    return ""
