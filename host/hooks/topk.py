"""Answer of ``topk`` for empty input, and its spot check."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS, empty_lists

__all__ = ["before", "check"]


def before(call: Call) -> Call | Answer:
    """Answer a call without scores on the host, since a stream that ``last`` closes cannot be empty."""
    scores = np.asarray(call.arguments["scores"])
    return call if scores.size else empty_lists(len(scores), call.options["k"], scores.dtype)


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:  # noqa: PLR0911 - one a flaw
    """Check sampled rows: each id's score, the order, ties by arrival, and that no larger score is missing."""
    offered, names, values = np.asarray(call.arguments["scores"]), call.arguments["ids"], answer.values
    kept = min(call.options["k"], offered.shape[1])
    nothing = empty_lists(1, call.options["k"] - kept, offered.dtype).values
    # An id that names several columns does not tell which one arrived: then only the scores are checked.
    unique = names is None or len(np.unique(names)) == len(names)
    order = np.argsort(names) if names is not None else np.arange(offered.shape[1])
    sorted_names = order if names is None else np.asarray(names)[order]
    for row in np.unique(generator.integers(len(offered), size=SAMPLED_ROWS)).tolist():
        ids, scores = values["ids"][row], values["scores"][row]
        if values["count"][row] != kept:
            return f"the count of row {row} is {kept}, not {values['count'][row]}"
        if (ids[kept:] != NO_ID).any() or (scores[kept:] != nothing["scores"][0]).any():
            return f"the slots of row {row} from {kept} on must be empty"
        best = np.sort(np.partition(offered[row], offered.shape[1] - kept)[offered.shape[1] - kept :])[::-1]
        if (best != scores[:kept]).any():
            return f"the {kept} largest scores of row {row} are not those returned"
        if not unique:
            continue
        at = np.minimum(np.searchsorted(sorted_names, ids[:kept]), len(order) - 1)
        if (sorted_names[at] != ids[:kept]).any():
            return f"row {row} holds an id that was not given"
        arrived = order[at]
        if (offered[row, arrived] != scores[:kept]).any():
            return f"row {row} pairs an id with the score of another"
        ties = scores[: kept - 1] == scores[1:kept]
        if (ties & (arrived[1:] <= arrived[:-1])).any():
            return f"equal scores of row {row} are not in order of arrival, or an id occurs twice"
    return ""
