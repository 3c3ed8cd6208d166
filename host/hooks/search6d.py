"""Answer of ``search6d`` where there is nothing to search, and its spot check."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS, empty_lists
from .mine import rows_of
from .quantise import nits_of
from .similarity6d import TOLERANCE, similarity

__all__ = ["before", "check"]


def before(call: Call) -> Call | Answer:
    """Answer a call without queries or records."""
    if call.sizes["Q"] == 0 or call.sizes["N"] == 0:
        return empty_lists(call.sizes["Q"], call.options["k"], np.float32)
    return call


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Score results of a query again, and check that no sampled record should be among them."""
    query = int(generator.integers(call.sizes["Q"]))
    rows, allowed = np.arange(call.sizes["N"]), call.arguments["allowed"]
    mask = np.ones(len(rows), np.bool_)
    if allowed is not None:
        mask = (np.asarray(allowed)[rows // 8] >> (rows % 8) & 1).astype(np.bool_)
    count = min(call.options["k"], int(mask.sum()))
    ids, scores = answer.values["ids"][query], answer.values["scores"][query]
    if answer.values["count"][query] != count:
        return f"the count of query {query} is {count}, not {answer.values['count'][query]}"
    if (ids[count:] != NO_ID).any() or (scores[count:] != -np.inf).any():
        return f"the slots of query {query} from {count} on must be empty"
    ids, scores = ids[:count], scores[:count]
    if (ids < 0).any() or (ids >= len(rows)).any() or not mask[ids].all():
        return f"query {query} holds an id that is no allowed row"
    if ((scores[1:] > scores[:-1]) | ((scores[1:] == scores[:-1]) & (ids[1:] <= ids[:-1]))).any():
        return f"the results of query {query} are not in order"
    for slot in generator.integers(count, size=min(count, SAMPLED_ROWS)).tolist():
        wanted = _similarity(call, query, int(ids[slot]))
        if not abs(float(scores[slot]) - wanted) <= TOLERANCE:
            return f"record {ids[slot]} has similarity {wanted:.8g} to query {query}, not {scores[slot]:.8g}"
    return (
        _omitted(call, query, ids, scores, np.setdiff1d(generator.choice(rows[mask], SAMPLED_ROWS), ids))
        if count
        else ""
    )


def _omitted(call: Call, query: int, ids: np.ndarray, scores: np.ndarray, sample: np.ndarray) -> str:
    """Return the fault that a sampled record is missing: it beats a result by nits, and the last one by similarity."""
    attributes = call.database().attributes
    wide = np.asarray(call.arguments["q"]["embedding"][query], np.float64)
    unit = (wide / (np.sqrt(wide @ wide) or 1)).astype(np.float32)
    nits = nits_of(unit[None], float(attributes["scale"]), attributes["mode"])[0]  # type: ignore[arg-type]
    sized = Call(call.operator, call.arguments, call.options, {**call.sizes, "D": len(unit)})
    found, kept = (rows_of(sized, some) @ nits for some in (sample, ids))
    last = ids[np.lexsort((ids, -kept))[-1]]
    for row in sample[(found > kept.min()) | ((found == kept.min()) & (sample < last))].tolist():
        if _similarity(call, query, row) > float(scores[-1]) + 2 * TOLERANCE:
            return f"query {query} omits record {row}, which is more similar than its last result"
    return ""


def _similarity(call: Call, query: int, row: int) -> float:
    first = 0
    for part in call.database().parts:
        if row < first + len(part.arrays["links"]):
            return similarity(call.arguments["q"], query, part.arrays, row - first)
        first += len(part.arrays["links"])
    raise IndexError(row)
