"""Time of each stage of a question, from text to reranked answer, with a timeline for Perfetto.

The times of reranking are also compared with the search before them, for one question and for many queries together.

Run with ``ninefold bench stages``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from ninefold.host.embedding import find_model
from ninefold.host.index import Index
from ninefold.host.scheduler import Scheduler
from ninefold.spec.benchmark import Benchmark, Better, Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError

__all__ = ["STAGES", "stages"]

#: Stages in the order of a question.
STAGES: Final = ("embedding", "search", "reranking", "all else")
#: Rounds of all questions, and of the queries that are searched together.
_ROUNDS: Final[Mapping[Size, int]] = {"tiny": 1, "small": 10, "large": 50}
_QUESTIONS: Final = (
    "copy a file and keep its timestamps",
    "make a temporary folder that is deleted afterwards",
    "compare two folders",
)
_K, _RERANK, _SEED = 10, 4, 9
#: Queries that are searched together, and most of the search's time that reranking them may take.
_TOGETHER: Final[Mapping[Size, int]] = {"tiny": 16, "small": 1024, "large": 1024}
_TARGET, _TARGET_OF = "<= 0.3", 1024


def _measure(request: Request) -> list[Figure]:
    name = f"stdlib-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        index = Index.open(name)
    except (InputError, DamagedDataError) as error:
        raise UnavailableError(str(error), "ninefold demo") from error
    parameters: dict[str, Parameter] = {"rows": len(index), "k": _K, "rerank": _RERANK, "data": f"{name}, real"}
    figures: list[Figure] = []
    with Scheduler(timeline=True) as scheduler:
        for device in request.devices or ("cpu",):
            taken: dict[str, list[float]] = {stage: [] for stage in STAGES}
            for number in range(1 + _ROUNDS[request.size]):
                for question in _QUESTIONS:
                    # The time makes each question new, since a question that was asked before is not embedded again.
                    spent = _ask(scheduler, index, f"{question} {time.time_ns()}", device)
                    if number:  # the first round warms up
                        for stage, seconds in zip(STAGES, spent, strict=True):
                            taken[stage].append(seconds * 1e3)
            for stage, values in taken.items():
                if stage == "reranking":
                    figures.append(_reranking("one question", device, values, taken["search"], parameters, ""))
                    continue
                better: Better = "" if stage == STAGES[-1] else "less"
                figures.append(
                    Figure.timed("one question", device, stage, values, "ms", parameters=parameters, better=better)
                )
            figures += _many(scheduler, index, device, request, parameters)
        if request.trace is not None:
            scheduler.write_timeline(request.trace)
    return figures


def _many(
    scheduler: Scheduler, index: Index, device: str, request: Request, parameters: Mapping[str, Parameter]
) -> list[Figure]:
    """Search and rerank many queries together: rows of the index, so that no text is embedded."""
    queries = min(_TOGETHER[request.size], len(index))
    chosen = np.random.default_rng(_SEED).choice(len(index), queries, replace=False)
    q = index.vectors[np.sort(chosen)].astype(np.float32)
    searched, reranked = [], []
    for number in range(1 + _ROUNDS[request.size]):
        result = index.mine(q, k=_K, rerank=_RERANK, device=device, strict=True, scheduler=scheduler)
        if number:
            searched.append(result.metrics["seconds"] * 1e3)
            reranked.append(result.metrics["refine_seconds"] * 1e3)
    target = _TARGET if queries >= _TARGET_OF and device == "cpu" else ""
    sizes = {**parameters, "queries": queries}
    return [
        _reranking("many queries", device, reranked, searched, sizes, target),
        Figure.timed("many queries", device, "search", searched, "ms", parameters=sizes, better="less"),
    ]


def _reranking(
    case: str,
    device: str,
    reranked: list[float],
    searched: list[float],
    parameters: Mapping[str, Parameter],
    target: str,
) -> Figure:
    """Return the time of reranking beside the search before it, both in milliseconds."""
    queries = int(parameters.get("queries", 1))
    return Figure.timed(
        case,
        device,
        "reranking",
        reranked,
        "ms",
        parameters=parameters,
        better="less",
        beside="the search before it",
        ratio=summary(reranked)[0] / summary(searched)[0],
        ratio_spread=summary([a / b for a, b in zip(reranked, searched, strict=True)])[1],
        target=target,
        task=f"reranking {queries:,} x {_K * _RERANK}" if queries > 1 else "",
    )


def _ask(scheduler: Scheduler, index: Index, question: str, device: str) -> tuple[float, float, float, float]:
    """Return the time of each stage in seconds."""
    start = time.perf_counter()
    hits = index.search(question, _K, rerank=_RERANK, device=device, strict=True, scheduler=scheduler)
    total = time.perf_counter() - start
    searched = hits.result.metrics.get("seconds", 0.0)
    reranked = hits.result.metrics.get("refine_seconds", 0.0)
    return hits.embed_seconds, searched, reranked, max(0.0, total - hits.embed_seconds - searched - reranked)


#: Suite that measures the stages of a question.
stages = Benchmark(_measure, find_model, ("*",))
