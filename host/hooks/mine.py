"""Options ``threshold`` and ``rerank`` of ``mine``, applied after any device, and its spot check."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.refine import refine, stored_vectors
from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN, MICRO_CLUSTERS, NO_ID
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS, empty_lists
from .quantise import nits_of

__all__ = ["Sample", "after", "before", "check", "coarse_scores", "list_flaw", "rows_of", "widened"]


def before(call: Call) -> Call | Answer:
    """Ask the device for rerank * k results."""
    k, rerank = call.options["k"], call.options["rerank"]
    if rerank:
        stored_vectors(call.database())  # raises an error if there are none
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
    vectors = stored_vectors(call.database()) if rerank else None
    start = time.perf_counter()
    values = refine(answer.values, np.asarray(call.arguments["q"]), k, threshold=threshold, vectors=vectors)
    metrics = {**answer.metrics, "refine_seconds": time.perf_counter() - start}
    return Answer(values, answer.path, metrics, answer.state)


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Recompute the returned scores, and check that no sampled row of the database should be among them."""
    sample = Sample(call, generator)
    for i, query in enumerate(sample.queries.tolist()):
        ids, scores = answer.values["ids"][query], answer.values["scores"][query].astype(np.int64)
        eligible = sample.eligible(i)
        if text := list_flaw(call, query, call.options["k"], answer.values, eligible):
            return text
        ids, scores = ids[ids != NO_ID], scores[ids != NO_ID]
        if (sample.nits[i] @ rows_of(call, ids).T != scores).any():
            return f"query {query} holds a wrong score"
        if not len(ids):
            continue
        rows = sample.rows[eligible[sample.rows] & ~np.isin(sample.rows, ids)]
        found = sample.nits[i] @ rows_of(call, rows).T
        better = (found > scores[-1]) | ((found == scores[-1]) & (rows < ids[-1]))
        if call.options["scan"] == "signs":
            # The scan may have dropped a row, unless it kept one that it ranks after that row.
            coarse, kept = (coarse_scores(sample.nits[i], rows_of(call, some)) for some in (rows, ids))
            last = ids[np.lexsort((ids, -kept))[-1]]
            better &= (coarse > kept.min()) | ((coarse == kept.min()) & (rows < last))
        if better.any():
            return f"query {query} omits row {rows[better][0]}, which scores better than its last result"
    return ""


class Sample:
    """Sampled queries and rows of a search, and what its options leave of the rows; plain, as it judges.

    Parameters
    ----------
    call : Call
        Call of ``mine`` or ``candidates``.
    generator : numpy.random.Generator
        Generator that chooses the sample.
    """

    def __init__(self, call: Call, generator: np.random.Generator) -> None:
        database, q = call.database(), np.asarray(call.arguments["q"])
        self._call = call
        self.queries = np.unique(generator.integers(len(q), size=SAMPLED_ROWS))
        self.rows = generator.integers(call.sizes["N"], size=SAMPLED_ROWS)
        scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
        self.nits = nits_of(q[self.queries], scale, mode)  # type: ignore[arg-type]

    def eligible(self, i: int) -> npt.NDArray[np.bool_]:
        """Return a mask of the rows that ``allowed``, ``macro`` and ``micro`` leave for the sampled query `i`."""
        call, rows = self._call, np.arange(self._call.sizes["N"])
        allowed, clusters = call.arguments["allowed"], call.options["macro"]
        mask = np.ones(len(rows), np.bool_)
        if allowed is not None:
            mask = (np.asarray(allowed)[rows // 8] >> (rows % 8) & 1).astype(np.bool_)
        if clusters is None:
            return mask
        parts = [part.arrays for part in call.database().parts]
        centroids = next(arrays for arrays in parts if "macro" in arrays)
        macro, micro = (widened(centroids[name], call.sizes["D"]) @ self.nits[i] for name in ("macro", "micro"))
        chosen: list[int] = []
        for cluster in np.lexsort((np.arange(len(macro)), -macro))[:clusters]:
            lists = np.arange(MICRO_CLUSTERS * cluster, MICRO_CLUSTERS * (cluster + 1))
            chosen += lists[np.lexsort((lists, -micro[lists]))][: call.options["micro"]].tolist()
        mask &= np.concatenate([_in_lists(arrays, chosen) for arrays in parts])
        return mask


def _in_lists(arrays: Mapping[str, Any], lists: list[int]) -> npt.NDArray[np.bool_]:
    """Return the rows of a database that are in some lists; all rows, if it has no lists."""
    inside = np.full(len(arrays["nits"]), "order" not in arrays)
    for number in lists if "order" in arrays else ():
        inside[arrays["order"][arrays["starts"][number] : arrays["starts"][number + 1]]] = True
    return inside


def list_flaw(call: Call, query: int, slots: int, values: Mapping[str, Any], eligible: npt.NDArray[np.bool_]) -> str:
    """Return what is wrong with one list of a search, apart from its scores, or an empty string."""
    ids, scores = values["ids"][query], values["scores"][query].astype(np.int64)
    kept = min(slots, int(eligible.sum()))
    if values["count"][query] != kept:
        return f"the count of query {query} is {kept}, not {values['count'][query]}"
    if (ids[kept:] != NO_ID).any() or (scores[kept:] != INT32_MIN).any():
        return f"the slots of query {query} from {kept} on must be empty"
    ids, scores = ids[:kept], scores[:kept]
    if (ids < 0).any() or (ids >= len(eligible)).any():
        return f"query {query} holds an id outside 0 to {len(eligible) - 1}"
    if not eligible[ids].all():
        return f"query {query} holds row {ids[~eligible[ids]][0]}, which {_excluded(call)}"
    # Sorted by (score descending, id ascending), so no id can occur twice either.
    if ((scores[1:] > scores[:-1]) | ((scores[1:] == scores[:-1]) & (ids[1:] <= ids[:-1]))).any():
        return f"the results of query {query} are not in order"
    return ""


def _excluded(call: Call) -> str:
    return "is not allowed" if call.options["macro"] is None else "is not allowed or in no list that is searched"


def coarse_scores(query: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the sums of a query's nits (D,), each negated where the nit of a row (n, D) is negative."""
    found: npt.NDArray[np.int32] = np.where(rows < 0, -query, query).sum(axis=1, dtype=np.int32)
    return found


def rows_of(call: Call, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return the nits of some rows of a call's database, int32 (n, D)."""
    found, first = np.zeros((len(rows), call.sizes["D"]), np.int32), 0
    for part in call.database().parts:
        nits = part.require("nits")
        inside = (rows >= first) & (rows < first + len(nits))
        found[inside] = widened(nits[rows[inside] - first], call.sizes["D"])
        first += len(nits)
    return found


def widened(packed: npt.NDArray[np.uint8], dimensions: int) -> npt.NDArray[np.int32]:
    """Return packed nits as int32 (n, dimensions)."""
    wide = np.asarray(packed).astype(np.int32)
    nibbles = np.stack([wide & 15, wide >> 4], axis=-1).reshape(len(wide), 2 * wide.shape[1])
    return np.where(nibbles > 7, nibbles - 16, nibbles)[:, :dimensions]
