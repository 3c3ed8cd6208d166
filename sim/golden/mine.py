"""Golden model of ``mine`` and its options."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import INT32_MIN, NO_ID, Mode
from ninefold.spec.signature import Call

from .packed import unpack
from .quantise import quantise
from .similarity import similarity
from .topk import topk

__all__ = ["float_score", "mine", "passes_threshold", "run"]


def passes_threshold(score: int, scores: list[int]) -> bool:
    """Return whether `score` is at least mean plus half a standard deviation of `scores`, in integer arithmetic."""
    n, total, squares = len(scores), sum(scores), sum(s * s for s in scores)
    above = n * score - total
    return above >= 0 and 4 * above**2 >= n * squares - total**2


def float_score(query: npt.NDArray[np.float32], vector: npt.NDArray[np.float16]) -> float:
    """Return the dot product with the stored vector widened to float32, summed in float64 in index order."""
    total = 0.0
    for a, b in zip(query.astype(np.float32).tolist(), vector.astype(np.float32).tolist(), strict=True):
        total += a * b
    return total


def mine(
    q: npt.NDArray[np.float32],
    nits: npt.NDArray[np.int8],
    scale: float,
    mode: Mode,
    k: int,
    threshold: str | None = None,
    rerank: int | None = None,
    vectors: npt.NDArray[np.float16] | None = None,
) -> list[list[tuple[int, float]]]:
    """Return for each query the list of (id, score), best first.

    The threshold filters the integer scores of the rerank * k best. The remaining hits are rescored and cut to k.
    """
    ids, scores, count = topk(similarity(quantise(q, scale, mode), nits), k * (rerank or 1))
    answers: list[list[tuple[int, float]]] = []
    for row in range(len(q)):
        hits = [(int(ids[row, i]), int(scores[row, i])) for i in range(count[row])]
        if threshold == "adaptive":
            returned = [s for _, s in hits]
            hits = [(i, s) for i, s in hits if passes_threshold(s, returned)]
        if rerank is None:
            answers.append([(i, s) for i, s in hits])
            continue
        if vectors is None:
            raise ValueError("rerank needs the float vectors")
        again = [(i, float_score(q[row], vectors[i])) for i, _ in hits]
        answers.append(sorted(again, key=lambda hit: (-hit[1], hit[0]))[:k])
    return answers


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    database, options = call.database(), call.options
    nits = unpack(np.asarray(database.require("nits")), call.sizes["D"])
    vectors = database.require("vectors") if options["rerank"] else None
    scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
    k, rerank = options["k"], options["rerank"]
    answers = mine(call.arguments["q"], nits, scale, mode, k, options["threshold"], rerank, vectors)  # type: ignore[arg-type]
    ids = np.full((len(answers), k), NO_ID, np.int64)
    scores = np.full((len(answers), k), -np.inf if rerank else INT32_MIN, np.float64 if rerank else np.int32)
    for row, hits in enumerate(answers):
        for slot, (i, score) in enumerate(hits):
            ids[row, slot], scores[row, slot] = i, score
    return {"ids": ids, "scores": scores, "count": np.array([len(a) for a in answers], np.int64)}
