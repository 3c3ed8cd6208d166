"""Options ``threshold`` and ``rerank`` of ``mine``, applied after any device, and its spot check."""

import time

import numpy as np
import numpy.typing as npt

from ninefold.host.refine import refine
from ninefold.spec.data import Answer, Database
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS, empty_lists
from .quantise import nits_of

__all__ = ["after", "before", "check"]


def before(call: Call) -> Call | Answer:
    """Ask the device for rerank * k results."""
    k, rerank = call.options["k"], call.options["rerank"]
    if rerank:
        call.database().require("vectors")
    if call.sizes["Q"] == 0 or call.sizes["N"] == 0:
        return empty_lists(call.sizes["Q"], k, np.float64 if rerank else np.int32)
    if rerank is None and call.options["threshold"] is None:
        return call
    return call.with_options(k=k * (rerank or 1), threshold=None, rerank=None)


def after(call: Call, answer: Answer) -> Answer:
    """Apply the adaptive threshold and rerank the results of the device."""
    k, threshold, rerank = call.options["k"], call.options["threshold"], call.options["rerank"]
    if (threshold is None and rerank is None) or call.sizes["Q"] == 0 or call.sizes["N"] == 0:
        return answer
    vectors = np.asarray(call.database().require("vectors")) if rerank else None
    start = time.perf_counter()
    values = refine(answer.values, np.asarray(call.arguments["q"]), k, threshold=threshold, vectors=vectors)
    metrics = {**answer.metrics, "refine_seconds": time.perf_counter() - start}
    return Answer(values, answer.path, metrics, answer.state)


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:  # noqa: PLR0911 - one a flaw
    """Recompute the returned scores, and check that no sampled row of the database beats the last result."""
    database, k = call.database(), call.options["k"]
    q, packed = np.asarray(call.arguments["q"]), np.asarray(database.require("nits"))
    kept = min(k, len(packed))
    queries = np.unique(generator.integers(len(q), size=SAMPLED_ROWS))
    rows = generator.integers(len(packed), size=SAMPLED_ROWS)
    nits = nits_of(q[queries], float(database.attributes["scale"]), database.attributes["mode"])  # type: ignore[arg-type]
    sampled = nits @ _rows(database, rows).T
    for i, query in enumerate(queries.tolist()):
        ids, scores = answer.values["ids"][query], answer.values["scores"][query].astype(np.int64)
        if answer.values["count"][query] != kept:
            return f"the count of query {query} is {kept}, not {answer.values['count'][query]}"
        if (ids[kept:] != NO_ID).any() or (scores[kept:] != INT32_MIN).any():
            return f"the slots of query {query} from {kept} on must be empty"
        ids, scores = ids[:kept], scores[:kept]
        if (ids < 0).any() or (ids >= len(packed)).any():
            return f"query {query} holds an id outside 0 to {len(packed) - 1}"
        if (_rows(database, ids) @ nits[i] != scores).any():
            return f"query {query} holds a wrong score"
        # Sorted by (score descending, id ascending), so no id can occur twice either.
        if ((scores[1:] > scores[:-1]) | ((scores[1:] == scores[:-1]) & (ids[1:] <= ids[:-1]))).any():
            return f"the results of query {query} are not in order"
        better = (sampled[i] > scores[-1]) | ((sampled[i] == scores[-1]) & (rows < ids[-1]))
        if (missing := rows[better & ~np.isin(rows, ids)]).size:
            return f"query {query} omits row {missing[0]}, which scores better than its last result"
    return ""


def _rows(database: Database, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    packed = np.asarray(database.require("nits"))[rows].astype(np.int32)
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(packed), -1)
    return np.where(nibbles > 7, nibbles - 16, nibbles)[:, : int(database.attributes["dimensions"])]
