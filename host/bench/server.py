"""Cost of a server: time added to one query, throughput of batches, and the slowest answers at half of full load.

Run with ``ninefold bench server``. The server is a process of its own; the client sends requests over open connections.
Other work on the machine makes a few answers slow, whoever gives them. Constant answers and searches without a server
therefore take turns with the searches of the server, with the same gaps between them.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from litestar import Response, post

from ninefold.host.index import Index, build
from ninefold.host.scheduler import Scheduler
from ninefold.host.server.guards import AnyRequest
from ninefold.host.server.service import Service
from ninefold.host.server.serving import Address, serve
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.progress import step

from .data import K, base, dataset
from .limits import limited
from .timing import interleaved

__all__ = ["server"]

_BATCH: Final = 64
#: Connections of the load.
_AT_ONCE: Final = 16
_SEARCH: Final = "/v1/indexes/notes/search"
_CONSTANT: Final = "/constant"
_SERVER, _DIRECT, _ADDED, _FIXED = "server", "scheduler", "time added by the server", "constant answer"
#: Constant answer of a server that has just searched, so that the processor's caches hold rows in place of its code.
_COLD: Final = "constant answer after a search"
#: Load on one connection or thread: sends the request of a number.
_Ask = Callable[[int], object]


@dataclass(frozen=True)
class _Plan:
    """Rows of the index, rounds of one query and of batches, seconds of full load, and turns at half of it."""

    rows: int
    rounds: int
    seconds: float
    turns: int


_PLANS: Final[Mapping[Size, _Plan]] = {
    "tiny": _Plan(500, 5, 0.3, 2),
    "small": _Plan(100_000, 401, 10.0, 11),
    "large": _Plan(1_000_000, 401, 30.0, 11),
}


def _measure(request: Request) -> list[Figure]:
    plan = _PLANS[request.size]
    whole = base(request, 256)
    data = dataset(whole, min(plan.rows, len(whole.vectors)) if request.data else plan.rows)
    parameters: dict[str, Parameter] = {"rows": len(data.vectors), "data": data.name}
    with limited(request), tempfile.TemporaryDirectory(prefix="ninefold-server-") as folder:
        index = Path(folder) / "notes"
        np.save(Path(folder) / "rows.npy", data.vectors)
        build(str(Path(folder) / "rows.npy"), str(index))
        with Index.open(str(index)) as reader, Scheduler(costs=None) as scheduler:
            first = _body(data.queries[:1])
            with _running(index, Path(folder)) as (host, port):
                connection = http.client.HTTPConnection(host, port)
                fixed = _asked(connection, _SEARCH, first)
                _asked(connection, f"{_CONSTANT}?set=1", fixed)

                def cold() -> Iterator[None]:
                    while True:
                        _asked(connection, _SEARCH, first)
                        yield
                        _asked(connection, _CONSTANT, first)
                        yield

                contenders: dict[str, Callable[[], object]] = {
                    _SERVER: lambda: _asked(connection, _SEARCH, first),
                    _FIXED: lambda: _asked(connection, _CONSTANT, first),
                    _COLD: cold().__next__,  # a search in the untimed call, and a constant answer in the timed one
                    _DIRECT: lambda: reader.search(data.queries[0], K, scheduler=scheduler),
                }
                one = interleaved(contenders, plan.rounds, 3 * plan.seconds).seconds
                some = [data.queries[at % len(data.queries)] for at in range(_BATCH)]
                body = _body(np.stack(some))
                batches = interleaved(
                    {
                        _SERVER: lambda: _asked(connection, _SEARCH, body),
                        _DIRECT: lambda: reader.search(some, K, scheduler=scheduler),
                    },
                    plan.rounds,
                    3 * plan.seconds,
                ).seconds
                bodies = [_body(query[None]) for query in data.queries[:_BATCH]]

                def direct() -> _Ask:
                    return lambda number: reader.search(some[number % _BATCH], K, device="cpu", scheduler=scheduler)

                loads: dict[str, Callable[[], _Ask]] = {
                    _SERVER: lambda: _asks(host, port, _SEARCH, bodies),
                    _FIXED: lambda: _asks(host, port, _CONSTANT, bodies),
                    _DIRECT: direct,
                }
                with step("loading the server"):
                    rate = len(_loaded(loads[_SERVER], plan.seconds, None)) / plan.seconds
                    half = _turns(loads, plan, rate / 2)
    return [*_one(one, parameters), *_batches(batches, parameters), *_half(half, rate, parameters)]


def _one(seconds: Mapping[str, Sequence[float]], parameters: Mapping[str, Parameter]) -> Iterator[Figure]:
    """Yield the time that a server adds, beside the time of a constant answer, in milliseconds."""
    added = [(a - b) * 1e3 for a, b in zip(seconds[_SERVER], seconds[_DIRECT], strict=True)]
    fixed = [one * 1e3 for one in seconds[_FIXED]]
    ratios = [a / b for a, b in zip(added, fixed, strict=True)]
    beside = {"beside": _FIXED, "ratio": summary(added)[0] / summary(fixed)[0], "ratio_spread": summary(ratios)[1]}
    added = [max(0.0, one) for one in added]  # a turn in which the direct search was the slower one
    more: Any = {
        "parameters": parameters,
        "better": "less",
        "target": "<= 2",
        "task": "time added by a server",
        **beside,
    }
    yield Figure.timed("one query", _ADDED, "time", added, "ms", **more)
    for name in (_FIXED, _COLD, _DIRECT):
        times = [one * 1e3 for one in seconds[name]]
        yield Figure.timed("one query", name, "time", times, "ms", parameters=parameters)


def _batches(seconds: Mapping[str, Sequence[float]], parameters: Mapping[str, Parameter]) -> Iterator[Figure]:
    """Yield the queries a second in batches, beside the same searches without a server."""
    rates = {name: [_BATCH / one for one in some] for name, some in seconds.items()}
    ratios = [a / b for a, b in zip(rates[_SERVER], rates[_DIRECT], strict=True)]
    ratio = summary(rates[_SERVER])[0] / summary(rates[_DIRECT])[0]
    more: Any = {"beside": _DIRECT, "ratio": ratio, "ratio_spread": summary(ratios)[1], "better": "more"}
    more |= {"target": ">= 0.8", "task": "queries a second of a server, 64 together", "parameters": parameters}
    yield Figure.timed(f"{_BATCH} queries", _SERVER, "queries a second", rates[_SERVER], "1/s", **more)
    yield Figure.timed(f"{_BATCH} queries", _DIRECT, "queries a second", rates[_DIRECT], "1/s", parameters=parameters)


def _half(
    turns: Mapping[str, Sequence[Sequence[float]]], rate: float, parameters: Mapping[str, Parameter]
) -> Iterator[Figure]:
    """Yield the ratio of p99 to the median in each turn: of the server, and of what came with the same gaps."""
    for name, several in turns.items():
        ratios = [float(np.quantile(times, 0.99) / np.median(times)) for times in several]
        median = float(np.median([np.median(times) for times in several])) * 1e3
        more: Any = {"detail": f"{rate / 2:,.0f} requests/s; the median is {median:.2f} ms"}
        if name == _SERVER:
            more |= {"better": "less", "target": "<= 4"}
        case, quantity = "half of full load", "p99, as a multiple of the median"
        yield Figure.timed(case, name, quantity, ratios, "", parameters=parameters, **more)


def _body(queries: Any) -> bytes:
    return json.dumps({"vectors": np.asarray(queries, np.float32).tolist(), "k": K, "device": "cpu"}).encode()


def _asked(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"the server answered {answer.status}: {content.decode()}")
    return content


def _asks(host: str, port: int, path: str, bodies: Sequence[bytes]) -> _Ask:
    """Return what sends the body of a number to a path, over a connection of its own."""
    connection = http.client.HTTPConnection(host, port)
    return lambda number: _asked(connection, path, bodies[number % len(bodies)])


def _turns(loads: Mapping[str, Callable[[], _Ask]], plan: _Plan, rate: float) -> dict[str, list[list[float]]]:
    """Return the times of each load in turns of a fifth of the time of full load, all with the same gaps."""
    found: dict[str, list[list[float]]] = {name: [] for name in loads}
    for turn in range(plan.turns):
        for name, load in loads.items():
            found[name].append(_loaded(load, plan.seconds / 5, rate, seed=turn))
    return found


def _loaded(load: Callable[[], _Ask], seconds: float, rate: float | None, seed: int = 1) -> list[float]:
    """Return the times of requests in seconds: as many as there are connections, or at random with a rate.

    The time of a request that comes at random begins when it should have been sent.
    """
    due, until = None, time.perf_counter() + seconds
    if rate is not None:
        gaps = np.random.default_rng(seed).exponential(1 / rate, max(2, int(rate * seconds)))
        due = iter((time.perf_counter() + np.cumsum(gaps)).tolist())
    lock, times = threading.Lock(), list[float]()

    def asks(number: int) -> None:
        ask = load()
        while True:
            with lock:
                start = time.perf_counter() if due is None else next(due, None)
            if start is None or (due is None and start > until):
                return
            time.sleep(max(0.0, start - time.perf_counter()))
            number += 1
            ask(number)
            times.append(time.perf_counter() - start)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(asks, number) for number in range(_AT_ONCE)]:
            done.result()
    return times


@contextmanager
def _running(index: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Yield host and port of a server, which is another process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(str(index), str(folder), there), daemon=True)
    process.start()
    there.close()
    try:
        url: str = here.recv()
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)
    finally:
        process.terminate()
        process.join()


def _serve(index: str, folder: str, pipe: Any) -> None:
    """Serve an index, and a constant answer of the same server."""
    fixed = b""

    @post(_CONSTANT, status_code=200)
    async def constant(request: AnyRequest) -> Response[bytes]:
        nonlocal fixed
        body = await request.body()
        if request.query_params.get("set"):
            fixed = body
        return Response(fixed, media_type="application/json")

    with Service([index], Path(folder) / "server") as service:
        serve(service, Address(port=0), started=pipe.send, more=[constant])


#: Suite that measures a server.
server = Benchmark(_measure)
