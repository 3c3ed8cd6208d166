"""Stores that change while they are searched: ours beside LanceDB, Chroma and sqlite-vec.

Run with ``ninefold bench store``. Each store is filled, opened, searched, given upserts in batches of 100, searched
while another thread makes upserts, compacted, and weighed. Then an index of ours in eight segments is searched beside
one in one segment. The vectors come from ``--data``, or as in the suite ``search``.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.benchmark import Benchmark, Better, Figure, Parameter, Request, Size, summary
from ninefold.spec.progress import step
from ninefold.spec.text import counted

from .data import Dataset, K, base, dataset, recall
from .limits import limited
from .segments import searches_of_segments
from .stores import OURS, STORES, Opened

__all__ = ["PLANS", "Plan", "store"]

_CASE: Final = "store"
_BATCH: Final = 100
#: Most of its own idle p99 that a search of ours takes while upserts are made.
_BUSY_TARGET: Final = "<= 2"


@dataclass(frozen=True)
class Plan:
    """Sizes of the measurement.

    Attributes
    ----------
    rows, queries : int
        Rows of each store, and different queries.
    seconds : float
        Approximate time of each part of the measurement of a store.
    opened : int
        Times that each store is opened.
    """

    rows: int
    queries: int
    seconds: float
    opened: int


PLANS: Final[Mapping[Size, Plan]] = {
    "tiny": Plan(500, 8, 0.05, 3),
    "small": Plan(100_000, 256, 10.0, 5),
    "large": Plan(1_000_000, 256, 30.0, 5),
}


@dataclass
class Measured:
    """Measurements of one store.

    Attributes
    ----------
    upserts : list of float
        Rows a second of each batch.
    idle_s, busy_s : list of float
        Seconds of each search, alone and while another thread makes upserts.
    open_s : list of float
        Seconds to open the store and answer one query.
    bytes : int
        Size of its files after compaction.
    recall : float
        Share of the exact nearest rows that it found.
    """

    upserts: list[float]
    idle_s: list[float]
    busy_s: list[float]
    open_s: list[float]
    bytes: int
    recall: float


def _measure(request: Request) -> list[Figure]:
    plan = PLANS[request.size]
    there: list[str] = []
    for name, one in STORES.items():
        if one.missing:
            request.note(f"store: {name} is skipped: {one.missing}")
        else:
            there.append(name)
    # Rows that are not in the stores replace others, so that no upsert is of a row as it is already.
    whole = base(request, plan.queries)
    data = dataset(whole, min(plan.rows, len(whole.vectors)) if request.data else plan.rows)
    parameters: dict[str, Parameter] = {"rows": len(data.vectors), "data": data.name}
    found = {}
    with limited(request):
        for name in there:
            with step(f"measuring {name}"), tempfile.TemporaryDirectory(prefix="ninefold-store-") as folder:
                found[name] = _measured(name, Path(folder), data, plan)
        with step("measuring segments"), tempfile.TemporaryDirectory(prefix="ninefold-store-") as folder:
            segments = [*searches_of_segments(Path(folder), data, plan.seconds, parameters)]
    return [*_figures(found, parameters), *segments]


def _measured(name: str, folder: Path, data: Dataset, plan: Plan) -> Measured:
    of = STORES[name]
    with step(f"filling {name}", len(data.vectors)):
        of.fill(folder, data.vectors)
    open_s = []
    for number in range(plan.opened):
        start = time.perf_counter()
        opened = of.open(folder)
        opened.search(data.queries[number % len(data.queries)], K)
        open_s.append(time.perf_counter() - start)
        opened.close()
    opened = of.open(folder)
    try:
        ids = np.array([opened.search(query, K) for query in data.queries])
        idle_s = _searches(opened, data.queries, plan.seconds)
        upserts = list(_upserts(opened, data.vectors, lambda spent: spent >= plan.seconds))
        busy_s = _while_upserting(opened, data, plan.seconds)
        opened.compact()
    finally:
        opened.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Measured(upserts, idle_s, busy_s, open_s, size, recall(ids, data.truth))


def _searches(opened: Opened, queries: npt.NDArray[np.float32], seconds: float) -> list[float]:
    """Return the time of each search, one after another; of every query at least once."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < len(queries):
        start = time.perf_counter()
        opened.search(queries[len(times) % len(queries)], K)
        times.append(time.perf_counter() - start)
    return times


def _upserts(opened: Opened, vectors: npt.NDArray[np.float32], ended: Callable[[float], bool]) -> Iterator[float]:
    """Replace rows in batches, in random order, until `ended` of the seconds since the start; yield rows a second."""
    random = np.random.default_rng(9)
    began = time.perf_counter()
    while True:
        ids = random.choice(len(vectors), _BATCH, replace=False)
        rows = vectors[ids]
        start = time.perf_counter()
        opened.upsert(ids.tolist(), rows)
        end = time.perf_counter()
        yield _BATCH / (end - start)
        if ended(end - began):
            return


def _while_upserting(opened: Opened, data: Dataset, seconds: float) -> list[float]:
    """Return the time of each search while another thread makes upserts."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in _upserts(opened, data.vectors, lambda _: stop.is_set()):
                pass
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write, name="ninefold upserts")
    writer.start()
    with contextlib.ExitStack() as stack:
        stack.callback(writer.join)
        stack.callback(stop.set)
        times = _searches(opened, data.queries, seconds)
    if failures:
        raise failures[0]
    return times


def _figures(found: Mapping[str, Measured], parameters: Mapping[str, Parameter]) -> Iterator[Figure]:
    rows = int(parameters["rows"])
    quantities: Mapping[str, tuple[Callable[[Measured], Sequence[float]], str, Better]] = {
        "upserts": (lambda one: one.upserts, "1/s", "more"),
        "search, p50": (lambda one: [1e3 * _quantile(one.idle_s, 0.5)], "ms", "less"),
        "search, p99": (lambda one: [1e3 * _quantile(one.idle_s, 0.99)], "ms", "less"),
        "search during upserts, p50": (lambda one: [1e3 * _quantile(one.busy_s, 0.5)], "ms", "less"),
        "search during upserts, p99": (lambda one: [1e3 * _quantile(one.busy_s, 0.99)], "ms", "less"),
        "bytes a row": (lambda one: [one.bytes / rows], "B", "less"),
        "opening": (lambda one: [1e3 * seconds for seconds in one.open_s], "ms", "less"),
    }
    for quantity, (values, unit, better) in quantities.items():
        medians = {name: summary(values(one))[0] for name, one in found.items()}
        peers = [name for name in medians if name != OURS]
        best = (max if better == "more" else min)(peers, key=lambda name: medians[name], default="")
        for name, one in found.items():
            ours = name == OURS and bool(best)
            yield Figure.timed(
                _CASE,
                name,
                quantity,
                values(one),
                unit,
                parameters=parameters,
                better=better if name == OURS else "",
                beside=best if ours else "",
                ratio=medians[name] / medians[best] if ours else None,
                target=(">= 1" if better == "more" else "<= 1") if ours else "",
                detail=f"recall@{K} {one.recall:.3f}, {STORES[name].how}",
                task=f"{quantity} of {counted(rows, 'row')}" if ours else "",
            )
    for name, one in found.items():
        yield Figure(_CASE, name, f"recall@{K}", one.recall, "", parameters, kind="exact")
        slower = _quantile(one.busy_s, 0.99) / _quantile(one.idle_s, 0.99)
        judged: Better = "less" if name == OURS else ""
        target = _BUSY_TARGET if name == OURS else ""
        yield Figure(_CASE, name, "p99 during upserts / idle", slower, "", parameters, better=judged, target=target)


def _quantile(seconds: Sequence[float], share: float) -> float:
    return float(np.quantile(seconds, share))


#: Suite of the stores.
store = Benchmark(_measure, backends=("cpu",))
