"""Searches of one index in eight segments, beside the same rows in one segment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index, build
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.benchmark import Figure, Parameter
from ninefold.spec.text import counted

from .data import Dataset, K
from .timing import interleaved

__all__ = ["searches_of_segments"]

_SEGMENTS: Final = 8
_ROUNDS: Final = 300
#: Searches by which an index joins the lists of its segments in memory, before any is timed.
_FIRST: Final = 600
#: Target, and rows from which it holds: the fixed cost of a search of fewer is most of it.
_TARGET: Final = "<= 1.05"
_LEAST: Final = 10_000
_SIGNS: Final = {"scan": "signs", "oversample": 8, "rerank": 4}
_SCANS: Final[Mapping[str, Mapping[str, Any]]] = {
    "nits": {"rerank": 4},
    "signs": _SIGNS,
    "clusters": {**_SIGNS, "macro": 8, "micro": 16},
}


def searches_of_segments(
    folder: Path, data: Dataset, seconds: float, parameters: Mapping[str, Parameter]
) -> Iterator[Figure]:
    """Yield the processor time of one search for each way to scan, in eight segments and in one.

    Processor time, as other work on the machine changes it less than the time that passes. Each index has a scheduler
    of its own, so that both get as many spot checks.

    Parameters
    ----------
    folder : Path
        Empty folder for the indexes.
    data : Dataset
        Rows and queries.
    seconds : float
        Approximate time of each way to scan.
    parameters : mapping
        Parameters of the figures.
    """
    _fill(folder, data.vectors)
    with contextlib.ExitStack() as stack:
        indexes = [Index.open(str(folder / name)) for name in ("one", "eight")]
        schedulers = [stack.enter_context(Scheduler()) for _ in indexes]
        contenders = {
            name: (index, scheduler)
            for name, index, scheduler in zip(("one segment", "eight segments"), indexes, schedulers, strict=True)
        }
        one, eight = contenders
        target = _TARGET if len(data.vectors) >= _LEAST else ""
        clustered = indexes[0].generation.centroid_scale is not None
        for name, options in _SCANS.items() if clustered else list(_SCANS.items())[:2]:
            calls = {key: _calls(*contender, data.queries, options) for key, contender in contenders.items()}
            for _ in range(_FIRST if "macro" in options else 0):
                for call in calls.values():
                    next(call)
            steps = {key: call.__next__ for key, call in calls.items()}
            times = interleaved(steps, _ROUNDS, seconds, clock=time.process_time)
            quantity = f"search of {name}, processor time"
            yield times.figure("segments", one, parameters, quantity=quantity, better="")
            task = f"search of {name} in {counted(_SEGMENTS, 'segment')}"
            yield times.figure("segments", eight, parameters, quantity=quantity, beside=one, target=target, task=task)


def _fill(folder: Path, rows: npt.NDArray[np.float32]) -> None:
    """Write the same rows to two indexes of equal scale and centroids."""
    source = folder / "rows.npy"
    np.save(source, rows)
    for name in ("one", "eight"):
        build(str(source), str(folder / name))
    source.unlink()
    with Index.open(str(folder / "eight"), "w") as index:
        for some in np.array_split(np.arange(len(rows)), _SEGMENTS):
            index.upsert([Entry(str(row), f"row {row}", "") for row in some.tolist()], rows[some])
            index.writer.seal()
        index.writer.upkeep()


def _calls(
    index: Index, scheduler: Scheduler, queries: npt.NDArray[np.float32], options: Mapping[str, Any]
) -> Iterator[None]:
    """Search for one query after another, each time that a value is taken."""
    number = 0
    while True:
        index.search(queries[number % len(queries)], K, device="cpu", scheduler=scheduler, **options)
        number += 1
        yield
