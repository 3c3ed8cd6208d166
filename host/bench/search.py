"""Search beside its peers: recall and time with one, a few and many queries, on databases of several sizes.

Run with ``ninefold bench search``. The data are the vectors given by ``--data``, or the demo's embeddings of Python's
standard library. Larger databases consist of those embeddings and copies with noise, and are named so.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.hooks.mine import after, before
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import DeviceError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.progress import step
from ninefold.spec.protocols import Device
from ninefold.spec.text import counted

from . import memory, peak
from .contenders import LEVELS, Contender, beside_best, tuned
from .data import Base, Dataset, K, base, bytes_needed, dataset, recall
from .devices import opened, ready
from .families import FAMILIES, Clustered
from .limits import limited
from .machine import available_bytes
from .peers import PEERS, SAME_NITS, Search
from .timing import Times, interleaved

__all__ = ["Plan", "search"]

_CASE: Final = "search"
#: Multiple of k that is reranked, and the suffix of the contender's name.
_RERANK: Final = 4
RERANKED: Final = f", reranked from {_RERANK * K}"
#: Most of FAISS's time on the same nits, by (rows, queries).
_TARGETS: Final = {(100_000, 1): "<= 0.75", (100_000, 64): "<= 0.3"}
#: Most of HNSW's building time, on real data of at least `_MANY` rows.
_GRAPH, _BUILDING, _MANY = "faiss HNSW", "<= 0.05", 100_000
#: Recall with reranking on real data.
_RECALL: Final = ">= 0.998"
#: Number of queries whose answers are compared with a sort of all dot products.
_CHECKED = 8
#: Number of queries that the kernel takes through the database together.
_TOGETHER = 256


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets of the measurement.

    Attributes
    ----------
    rows, queries : tuple of int
        Rows of the databases, and queries a call.
    repetitions : int
        Maximum number of rounds of a case.
    budget_s : float
        Approximate time of a case in seconds.
    graph_rows : int
        Rows of the largest database on which graphs are built.
    """

    rows: tuple[int, ...]
    queries: tuple[int, ...]
    repetitions: int
    budget_s: float
    graph_rows: int


PLANS: Final[Mapping[Size, Plan]] = {
    "tiny": Plan((200, 1000), (1, 16), 3, 0.1, 1000),
    "small": Plan((10_000, 100_000), (1, 64, 1024), 41, 15.0, 200_000),
    "large": Plan((10_000, 100_000, 1_000_000), (1, 64, 1024), 41, 60.0, 1_000_000),
}


def _measure(request: Request) -> list[Figure]:
    """Measure devices and peers on every size of database, including one of all real rows."""
    plan = PLANS[request.size]
    whole = base(request, max(plan.queries))
    sizes = _sizes(request, plan, whole)
    figures: list[Figure] = []
    with limited(request), opened(request, ready("mine")) as devices:
        roof = _roof(request)
        figures += [] if roof is None else roof.figures
        for rows in sizes:
            needed, there = bytes_needed(rows), available_bytes()
            if there and needed > there:
                request.note(
                    f"search of {rows:,} rows is skipped: it takes about {needed / 1e6:,.0f} MB of memory, and"
                    f" {there / 1e6:,.0f} MB are free"
                )
                continue
            data = dataset(whole, rows)
            with step(f"building databases of {rows:,} rows"):
                clusters = Clustered(data)
                contenders, built = _contenders(request, data, clusters, devices, rows <= plan.graph_rows)
            figures += built
            with step(f"searching {rows:,} rows"):
                figures += _compare(request, data, contenders, roof, largest=rows == sizes[-1])
            for device in devices.values():
                for database in (data.database, clusters.database):
                    device.unload(database.digest)
    if request.size != "tiny" and not request.devices:
        figures += memory.measure()
    return figures


def _sizes(request: Request, plan: Plan, whole: Base) -> list[int]:
    """Return the rows of the databases, in growing order; given vectors are measured as a whole."""
    rows = len(whole.vectors)
    if request.size == "tiny":
        return sorted({min(size, rows) for size in plan.rows} if request.data else plan.rows)
    return [rows] if request.data else sorted({*plan.rows, *([rows] if whole.real else [])})


def _roof(request: Request) -> peak.Peak | None:
    try:
        return peak.measure(request)
    except UnavailableError as error:
        request.note(f"search: the roofline is skipped: {error}")
        return None


def _contenders(
    request: Request, data: Dataset, clusters: Clustered, devices: Mapping[str, Device], graphs: bool
) -> tuple[list[Contender], list[Figure]]:
    """Build the databases of devices and peers and tune those that have a search parameter."""
    contenders: list[Contender] = []
    seconds: dict[str, float] = {}
    for name, device in devices.items():
        start = time.perf_counter()
        try:
            device.load(data.database)
            _mine(device, data.database, {}, data.queries[:1], K)  # compiles if needed
        except UnsupportedError as error:
            request.note(f"search: {name} is skipped at {len(data.vectors):,} rows: {error}")
            continue
        seconds[name] = data.seconds + time.perf_counter() - start
        _check(name, device, data)
        for suffix, factor in (("", None), (RERANKED, _RERANK)):
            search = functools.partial(_mine, device, data.database, {"rerank": factor})
            contenders.append(Contender(name + suffix, search, _recall(search, data), device=name))
        if len(seconds) == 1:
            device.load(clusters.database)
            seconds[f"{name}, clusters"] = seconds[name] + clusters.seconds
            for family in FAMILIES:
                database = clusters.database if family.clustered else data.database
                searches: dict[str, Search] = {
                    text: functools.partial(_mine, device, database, options)
                    for text, options in family.settings.items()
                }
                contenders += tuned(f"{name}{family.suffix}", searches, data, tuple(LEVELS), request.note, name)
    for name, peer in PEERS.items():
        if peer.missing:
            request.note(f"search: {name} is skipped: {peer.missing}")
        elif peer.graph and not graphs:
            request.note(f"search: {name} is skipped at {len(data.vectors):,} rows: its graph takes too long to build")
        else:
            start = time.perf_counter()
            with step(f"building {name} of {len(data.vectors):,} rows"):
                built = peer.build(data, request.threads)
            seconds[name] = time.perf_counter() - start
            if peer.settings:
                levels = tuple(LEVELS)[:-1]  # a graph or lists promise no search without loss
                settings: dict[str, Search] = {f"{peer.parameter} {value}": built.at(value) for value in peer.settings}
                contenders += tuned(name, settings, data, levels, request.note)
            else:
                contenders.append(Contender(name, built.search, _recall(built.search, data)))
    return contenders, list(_built(data, seconds, next(iter(devices))))


def _built(data: Dataset, seconds: Mapping[str, float], device: str) -> Iterator[Figure]:
    """Yield the building times, and ours beside HNSW's; ours include quantising and packing."""
    for name, taken in seconds.items():
        beside: dict[str, Any] = {}
        if name in (device, f"{device}, clusters") and _GRAPH in seconds:
            large = data.real and len(data.vectors) >= _MANY
            beside = {"beside": _GRAPH, "ratio": taken / seconds[_GRAPH], "target": _BUILDING if large else ""}
            task = f"building a database of {len(data.vectors):,} rows{name.removeprefix(device)}"
            beside |= {"task": task, "better": "less"}
        detail = "once, compilation included"
        yield Figure(_CASE, name, "built in", taken, "s", _parameters(data), detail=detail, **beside)


def _recall(search: Search, data: Dataset) -> float:
    return recall(search(data.queries, K), data.truth)


def _compare(
    request: Request, data: Dataset, contenders: Sequence[Contender], roof: peak.Peak | None, *, largest: bool
) -> list[Figure]:
    """Return recall, time and the comparison with the best peers; for devices also the share of the roof."""
    plan = PLANS[request.size]
    devices = tuple(dict.fromkeys(one.device for one in contenders if one.device))
    figures = []
    for one in contenders:
        target = _RECALL if one.name == "cpu" + RERANKED and data.real else ""
        figures.append(
            Figure(
                _CASE,
                one.name,
                f"recall@{K}",
                one.recall,
                "",
                _parameters(data),
                kind="exact",
                better="more" if one.device else "",
                target=target,
                detail=one.setting,
            )
        )
    peer = next(name for name in (SAME_NITS, "numpy float32") if name in {one.name for one in contenders})
    # The table of best peers has the databases that a reader would ask for.
    shown = data.real or largest
    for queries in plan.queries:
        q = data.queries[:queries]
        calls: dict[str, Callable[[], Any]] = {one.key: functools.partial(one.search, q, K) for one in contenders}
        times = interleaved(calls, plan.repetitions, plan.budget_s)
        parameters = {**_parameters(data), "queries": queries}
        for one in contenders:
            mine = one.name == devices[0] and peer == SAME_NITS
            rows = len(data.vectors)
            named = Times({one.name: times.seconds[one.key], peer: times.seconds[peer]})
            figures.append(
                named.figure(
                    _CASE,
                    one.name,
                    parameters,
                    beside="" if one.name == peer else peer,
                    better="less" if one.device else "",
                    target=_TARGETS.get((rows, queries), "") if mine and one.name == "cpu" else "",
                    detail=one.setting,
                    task=f"exact on nits, {rows:,} rows, {counted(queries, 'query', 'queries')}"
                    if mine and shown
                    else "",
                )
            )
        if shown:
            judged = request.size != "tiny" and devices[0] == "cpu"
            figures += beside_best(contenders, devices[0], data, times, parameters, judged=judged)
        for name in devices:
            figures += _under_the_roof(name, data, parameters, times.median(name), roof)
    return figures


def _under_the_roof(
    name: str, data: Dataset, parameters: Mapping[str, Parameter], seconds: float, roof: peak.Peak | None
) -> Iterator[Figure]:
    """Yield operations, bytes read, and the rate as a share of the roofline.

    A product and a sum a nit are two operations. The bytes are the packed database, read once for each 256 queries,
    and the queries' nits.
    """
    (rows, dimensions), queries = data.nits.shape, int(parameters["queries"])
    operations = 2 * rows * dimensions * queries
    moved = -(-queries // _TOGETHER) * rows * -(-dimensions // 2) + queries * dimensions
    yield Figure(_CASE, name, "operations", operations, "", parameters, kind="exact")
    yield Figure(_CASE, name, "bytes read", moved, "byte", parameters, kind="exact")
    rate = operations / seconds / 1e9
    yield Figure(_CASE, name, "rate", rate, "Gop/s", parameters)
    if roof is not None and roof.int8 is not None:
        limit = min(roof.int8.value, roof.read.value * operations / moved)
        yield Figure(_CASE, name, "share of the roof", rate / limit, "", parameters)


def _mine(
    device: Device, database: Database, options: Mapping[str, Any], q: npt.NDArray[np.float32], k: int
) -> npt.NDArray[np.int64]:
    """Run `mine` on a device without a scheduler, and the reranking on the host."""
    call = OPERATORS["mine"].bind({"q": q, "database": database}, {"k": k, **options})
    asked = before(call)
    answer = asked if isinstance(asked, Answer) else after(call, device.run(asked))
    found: npt.NDArray[np.int64] = answer.values["ids"]
    return found


def _check(name: str, device: Device, data: Dataset) -> None:
    """Compare some answers with a stable sort of all dot products, which are exact in float32."""
    from ninefold.numerics.quantise import quantise

    attributes = data.database.attributes
    q = data.queries[:_CHECKED]
    nits = quantise(q, float(attributes["scale"]), str(attributes["mode"]))  # type: ignore[arg-type]
    scores = nits.astype(np.float32) @ data.nits.astype(np.float32).T
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    if not np.array_equal(_mine(device, data.database, {}, q, K), wanted):
        raise DeviceError(f"{name} differs from a sort of all dot products on {len(data.vectors):,} rows")


def _parameters(data: Dataset) -> dict[str, Parameter]:
    rows, dimensions = data.vectors.shape
    return {"rows": rows, "dimensions": dimensions, "k": K, "data": data.name}


#: Suite that measures search on the host's devices.
search = Benchmark(_measure, backends=("*",))
