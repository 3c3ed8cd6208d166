"""Search beside its peers: recall and time with one, a few and many queries, as the database grows.

Run with ``ninefold bench search``. The data are embeddings of Python's standard library where the demo has indexed it;
databases larger than that are tiled from it with noise, and say so.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.around.mine import after, before
from ninefold.spec.benchmark import Benchmark, Better, Figure, Parameter, Request, Size
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import DeviceError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device

from . import memory, peak
from .data import Dataset, K, base, bytes_needed, dataset, recall
from .devices import opened, ready
from .limits import limited
from .machine import available_bytes
from .peers import PEERS, SAME_NITS, Search
from .timing import interleaved

__all__ = ["Plan", "search"]

_CASE: Final = "search"
#: How many times k is searched for when reranking, and what the name then ends with.
_RERANK: Final = 4
RERANKED: Final = f", reranked from {_RERANK * K}"
#: (rows, queries) -> most of FAISS's time on the same nits.
_TARGETS: Final = {(100_000, 1): "<= 0.75", (100_000, 64): "<= 0.3"}
#: Of what is reranked, on real embeddings.
_RECALL: Final = ">= 0.998"
#: Queries whose answers are compared with a sort of all dot products.
_CHECKED = 8
#: Queries that the kernel takes through the database together.
_TOGETHER = 256


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    rows, queries : tuple of int
        Sizes of databases, and queries a call.
    repetitions : int
        Rounds of a case.
    budget_s : float
        Seconds that a case takes, about.
    graph_rows : int
        Largest database that graphs are built on.
    """

    rows: tuple[int, ...]
    queries: tuple[int, ...]
    repetitions: int
    budget_s: float
    graph_rows: int


PLANS: Final[Mapping[Size, Plan]] = {
    "tiny": Plan((200, 1000), (1, 16), 3, 0.1, 1000),
    "small": Plan((10_000, 100_000), (1, 64, 1024), 41, 15.0, 10_000),
    "large": Plan((10_000, 100_000, 1_000_000), (1, 64, 1024), 41, 60.0, 1_000_000),
}


def _measure(request: Request) -> list[Figure]:
    """Measure devices and peers on every size of database, all real rows among them."""
    plan = PLANS[request.size]
    whole = base(request, max(plan.queries))
    sizes = sorted({*plan.rows, *([len(whole.vectors)] if whole.real and request.size != "tiny" else [])})
    figures: list[Figure] = []
    with limited(request), opened(request, ready("mine")) as devices:
        roof = _roof(request)
        figures += [] if roof is None else roof.figures
        for rows in sizes:
            needed, there = bytes_needed(rows), available_bytes()
            if there and needed > there:
                request.note(
                    f"search of {rows:,} rows is left out: it takes about {needed / 1e6:,.0f} MB of memory, and"
                    f" {there / 1e6:,.0f} MB are free"
                )
                continue
            data = dataset(whole, rows)
            contenders, built = _contenders(request, data, devices, rows <= plan.graph_rows)
            figures += built
            figures += _compare(plan, data, contenders, tuple(name for name in devices if name in contenders), roof)
            for device in devices.values():
                device.unload(data.database.digest)
    if request.size != "tiny" and not request.devices:
        figures += memory.measure()
    return figures


def _roof(request: Request) -> peak.Peak | None:
    try:
        return peak.measure(request)
    except UnavailableError as error:
        request.note(f"search: there is no roofline: {error}")
        return None


def _contenders(
    request: Request, data: Dataset, devices: Mapping[str, Device], graphs: bool
) -> tuple[dict[str, Search], list[Figure]]:
    """Build the databases of devices and peers; the time that each took is a figure."""
    contenders: dict[str, Search] = {}
    figures = []
    parameters = _parameters(data)
    for name, device in devices.items():
        start = time.perf_counter()
        plain = functools.partial(_mine, device, data.database, None)
        try:
            device.load(data.database)
            plain(data.queries[:1], K)  # compiles what it must
        except UnsupportedError as error:
            request.note(f"search: {name} is left out at {len(data.vectors):,} rows: {error}")
            continue
        figures.append(_built(name, time.perf_counter() - start, parameters))
        _check(name, device, data)
        contenders[name] = plain
        contenders[name + RERANKED] = functools.partial(_mine, device, data.database, _RERANK)
    for name, peer in PEERS.items():
        if peer.missing:
            request.note(f"search: {name} is left out: {peer.missing}")
        elif peer.graph and not graphs:
            request.note(f"search: {name} is left out at {len(data.vectors):,} rows, where its graph takes too long")
        else:
            start = time.perf_counter()
            contenders[name] = peer.build(data, request.threads)
            figures.append(_built(name, time.perf_counter() - start, parameters))
    return contenders, figures


def _compare(
    plan: Plan, data: Dataset, contenders: Mapping[str, Search], devices: tuple[str, ...], roof: peak.Peak | None
) -> list[Figure]:
    """Return recall, time and, for devices, how near they come to the roof."""
    ours = {name for device in devices for name in (device, device + RERANKED)}
    figures = []
    for name, search in contenders.items():
        found = recall(search(data.queries, K), data.truth)
        better: Better = "more" if name in ours else ""
        target = _RECALL if name == "cpu" + RERANKED and data.real else ""
        parameters = _parameters(data)
        figures.append(
            Figure(_CASE, name, f"recall@{K}", found, "", parameters, kind="exact", better=better, target=target)
        )
    peer = SAME_NITS if SAME_NITS in contenders else "numpy float32"
    for queries in plan.queries:
        q = data.queries[:queries]
        calls: dict[str, Callable[[], Any]] = {
            name: functools.partial(search, q, K) for name, search in contenders.items()
        }
        times = interleaved(calls, plan.repetitions, plan.budget_s)
        parameters = {**_parameters(data), "queries": queries}
        for name in contenders:
            target = _TARGETS.get((len(data.vectors), queries), "") if name == "cpu" and peer == SAME_NITS else ""
            better = "less" if name in ours else ""
            beside = "" if name == peer else peer
            figures.append(times.figure(_CASE, name, parameters, beside=beside, better=better, target=target))
        for name in devices:
            figures += _under_the_roof(name, data, parameters, times.median(name), roof)
    return figures


def _under_the_roof(
    name: str, data: Dataset, parameters: Mapping[str, Parameter], seconds: float, roof: peak.Peak | None
) -> Iterator[Figure]:
    """Yield operations, bytes, and the share of what the machine could do at that ratio of the two.

    A product and a sum a nit are two operations. Read are the packed database, once for each 256 queries, and the
    queries' nits.
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
    device: Device, database: Database, rerank: int | None, q: npt.NDArray[np.float32], k: int
) -> npt.NDArray[np.int64]:
    """Run `mine` on a device without a scheduler, and what follows it on the host."""
    call = OPERATORS["mine"].bind({"q": q, "database": database}, {"k": k, "rerank": rerank})
    asked = before(call)
    answer = asked if isinstance(asked, Answer) else after(call, device.run(asked))
    found: npt.NDArray[np.int64] = answer.values["ids"]
    return found


def _check(name: str, device: Device, data: Dataset) -> None:
    """Compare some answers with a stable sort of all dot products, which is exact in float32."""
    from ninefold.host.quantise import quantise

    attributes = data.database.attributes
    q = data.queries[:_CHECKED]
    nits = quantise(q, float(attributes["scale"]), str(attributes["mode"]))  # type: ignore[arg-type]
    scores = nits.astype(np.float32) @ data.nits.astype(np.float32).T
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    if not np.array_equal(_mine(device, data.database, None, q, K), wanted):
        raise DeviceError(f"{name} differs from a sort of all dot products on {len(data.vectors):,} rows")


def _parameters(data: Dataset) -> dict[str, Parameter]:
    rows, dimensions = data.vectors.shape
    return {"rows": rows, "dimensions": dimensions, "k": K, "data": data.name}


def _built(name: str, seconds: float, parameters: Mapping[str, Parameter]) -> Figure:
    return Figure(_CASE, name, "built in", seconds, "s", parameters, detail="once; what it compiles included")


#: Measures search on the host's devices.
search = Benchmark(_measure, backends=("*",))
