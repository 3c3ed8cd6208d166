"""Spot check of ``dmi_clean``."""

import math

import numpy as np

from ninefold.spec.data import Answer, State
from ninefold.spec.momentum import COLD, FADE_S, ROW_DEVIATION
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compare sampled clusters with the version before, or with a new row."""
    state = answer.state
    if not isinstance(state, State):
        return "it has no next version of the memory"
    time = float(call.arguments["time"])
    if state.arrays["clock"][0] != time:
        return f"the clock is {state.arrays['clock'][0]}, not {time}"
    for cluster in np.unique(generator.integers(call.sizes["C"], size=SAMPLED_ROWS)).tolist():
        wanted = _cleaned(call, cluster)
        for name, value in wanted.items():
            if (state.arrays[name][cluster] != value).any():
                return f"{name} of cluster {cluster} is not {value} but {state.arrays[name][cluster]}"
    return ""


def _cleaned(call: Call, cluster: int) -> dict[str, np.ndarray]:
    """Return the entries of a cluster after the call."""
    before = call.state()
    entries = {name: array[cluster] for name, array in before.arrays.items() if name != "clock"}
    over = float(call.arguments["time"]) - float(entries["last"]) - call.options["max_age"]
    if not entries["count"] or over <= 0:
        return entries
    entries["momentum"] = entries["momentum"] * np.float32(math.exp(-over / FADE_S))
    if entries["momentum"] >= np.float32(COLD):
        return entries
    version = int(entries["version"]) + 1
    sequence = np.random.SeedSequence([int(before.attributes["seed"]), cluster, version])
    row = np.random.Generator(np.random.PCG64(sequence)).normal(0.0, ROW_DEVIATION, call.sizes["D"])
    zero = np.zeros(())
    return {"rows": row.astype(np.float16), "momentum": zero, "last": zero, "count": zero, "version": np.array(version)}
