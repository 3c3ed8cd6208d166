"""Where the time of a question goes, from text to reranked answer, with a timeline for Perfetto.

Run with ``ninefold bench stages``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Final

from ninefold.host.embedding import find_model
from ninefold.host.index import Index
from ninefold.host.scheduler import Scheduler
from ninefold.spec.benchmark import Benchmark, Better, Figure, Parameter, Request, Size
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError

__all__ = ["STAGES", "stages"]

#: In the order of a question.
STAGES: Final = ("embedding", "search", "reranking", "all else")
#: Rounds of all questions.
_ROUNDS: Final[Mapping[Size, int]] = {"tiny": 1, "small": 10, "large": 50}
_QUESTIONS: Final = (
    "copy a file and keep its timestamps",
    "make a temporary folder that is deleted afterwards",
    "compare two folders",
)
_K, _RERANK = 10, 4


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
                    spent = _ask(scheduler, index, question, device)
                    if number:  # the first round warms up
                        for stage, seconds in zip(STAGES, spent, strict=True):
                            taken[stage].append(seconds * 1e3)
            for stage, values in taken.items():
                better: Better = "" if stage == STAGES[-1] else "less"
                figures.append(
                    Figure.timed("one question", device, stage, values, "ms", parameters=parameters, better=better)
                )
        if request.trace is not None:
            scheduler.write_timeline(request.trace)
    return figures


def _ask(scheduler: Scheduler, index: Index, question: str, device: str) -> tuple[float, float, float, float]:
    """Return the seconds of each stage."""
    start = time.perf_counter()
    hits = index.search(question, _K, rerank=_RERANK, device=device, strict=True, scheduler=scheduler)
    total = time.perf_counter() - start
    searched = hits.result.metrics.get("seconds", 0.0)
    reranked = hits.result.metrics.get("refine_seconds", 0.0)
    return hits.embed_seconds, searched, reranked, max(0.0, total - hits.embed_seconds - searched - reranked)


#: Measures one question after the other.
stages = Benchmark(_measure, find_model, ("*",))
