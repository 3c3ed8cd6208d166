"""Answer of ``candidates`` without rows or queries, and its spot check."""

from __future__ import annotations

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from . import empty_lists
from .mine import Sample, coarse_scores, list_flaw, rows_of

__all__ = ["before", "check"]


def before(call: Call) -> Call | Answer:
    """Answer a call without queries or rows on the host."""
    if call.sizes["Q"] == 0 or call.sizes["N"] == 0:
        return empty_lists(call.sizes["Q"], call.options["keep"], np.int32)
    return call


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Recompute the returned scores, and check that no sampled row of the database beats the last one."""
    sample = Sample(call, generator)
    for i, query in enumerate(sample.queries.tolist()):
        ids, scores = answer.values["ids"][query], answer.values["scores"][query]
        eligible = sample.eligible(i)
        if text := list_flaw(call, query, call.options["keep"], answer.values, eligible):
            return text
        ids, scores = ids[ids != NO_ID], scores[ids != NO_ID]
        if (coarse_scores(sample.nits[i], rows_of(call, ids)) != scores).any():
            return f"query {query} holds a wrong score"
        rows = sample.rows[eligible[sample.rows] & ~np.isin(sample.rows, ids)]
        found = coarse_scores(sample.nits[i], rows_of(call, rows))
        if len(ids) and (better := (found > scores[-1]) | ((found == scores[-1]) & (rows < ids[-1]))).any():
            return f"query {query} omits row {rows[better][0]}, which scores better than its last result"
    return ""
