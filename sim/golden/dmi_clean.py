"""Golden model of ``dmi_clean``: one cluster after another."""

import math
from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["step"]


def step(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer a checked call: no values, and the memory with faded momentum and new rows."""
    after = {name: np.array(array) for name, array in call.state().arrays.items()}
    time, seed = float(call.arguments["time"]), int(call.state().attributes["seed"])
    after["clock"][0] = time
    for cluster in range(call.sizes["C"]):
        age = time - float(after["last"][cluster])
        if not after["count"][cluster] or age <= call.options["max_age"]:
            continue
        factor = np.float32(math.exp(-(age - call.options["max_age"]) / 300))
        after["momentum"][cluster] *= factor
        if after["momentum"][cluster] < np.float32(0.01):
            after["momentum"][cluster], after["count"][cluster], after["last"][cluster] = 0, 0, 0
            after["version"][cluster] += 1
            sequence = np.random.SeedSequence([seed, cluster, int(after["version"][cluster])])
            row = 0.1 * np.random.Generator(np.random.PCG64(sequence)).standard_normal(call.sizes["D"])
            after["rows"][cluster] = row.astype(np.float16)
    return {}, after
