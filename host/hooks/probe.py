"""Spot check of ``probe``."""

from __future__ import annotations

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import MICRO_CLUSTERS
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS
from .mine import widened
from .quantise import nits_of

__all__ = ["check"]


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Recompute the scores of the centroids of sampled queries, and the lists that they choose."""
    database, q, options = call.database(), np.asarray(call.arguments["q"]), call.options
    if not len(q):
        return ""
    scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
    coarse, fine = (widened(database.arrays[name], call.sizes["D"]) for name in ("macro", "micro"))
    for query in np.unique(generator.integers(len(q), size=SAMPLED_ROWS)).tolist():
        nits = nits_of(q[query], scale, mode)  # type: ignore[arg-type]
        macro, micro = coarse @ nits, fine @ nits
        chosen: list[int] = []
        for cluster in sorted(range(len(macro)), key=lambda i: (-macro[i], i))[: options["macro"]]:
            lists = range(MICRO_CLUSTERS * cluster, MICRO_CLUSTERS * (cluster + 1))
            chosen += sorted(lists, key=lambda i: (-micro[i], i))[: options["micro"]]
        chosen.sort(key=lambda i: (-micro[i], i))
        if answer.values["ids"][query].tolist() != chosen:
            return f"the lists of query {query} are not the nearest ones"
        if (answer.values["scores"][query] != micro[chosen]).any():
            return f"query {query} holds a wrong score"
        if answer.values["count"][query] != len(chosen):
            return f"the count of query {query} is {len(chosen)}, not {answer.values['count'][query]}"
    return ""
