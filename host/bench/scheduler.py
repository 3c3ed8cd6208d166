"""Cost of the scheduler: time added to one small task, and small tasks a second, beside a bare thread pool.

Run with ``ninefold bench scheduler``.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from ninefold.host.scheduler import Future, Scheduler, run
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.data import Task
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend

from .timing import Times, interleaved

__all__ = ["scheduler"]

#: Repetitions of a task, tasks of a run, runs.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (20, 200, 3),
    "small": (1501, 20_000, 5),
    "large": (5001, 50_000, 9),
}
_IN_FLIGHT = 512
_DIRECT, _POOL, _OURS = "direct call", "thread pool", "scheduler"
_NEW_POOL, _RUN = "thread pool of its own", "run()"
#: Time added and rate, both as ratios to the thread pool.
_ADDED, _RATE = "<= 0.6", ">= 0.6"


def _measure(request: Request) -> list[Figure]:
    """Measure on the device ``null``, which computes nothing; the peer is a thread pool that makes the same calls.

    A single task is awaited, and runs on the caller's thread. `run` opens a scheduler and a device for each call; its
    peer opens a thread pool and a device. Rates are of tasks that are submitted, and awaited later.
    """
    repetitions, tasks, runs = _PLANS[request.size]
    x = np.ones((1, 16), np.float32)
    device = backend("null").open()
    task = Task("quantise", {"x": x}, {"scale": 1.0}, device="null")

    def direct() -> None:
        device.run(OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0}))

    def new_pool() -> None:
        with ThreadPoolExecutor(1) as own:
            opened = backend("null").open()
            own.submit(opened.run, OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0})).result()
            opened.close()

    with Scheduler(costs=None) as s, ThreadPoolExecutor(1) as pool:

        def submit() -> Future:
            return s.submit("quantise", x, scale=1.0, device="null")

        contenders: dict[str, Callable[[], object]] = {
            _DIRECT: direct,
            _POOL: lambda: pool.submit(direct).result(),
            _OURS: lambda: s.run("quantise", x, scale=1.0, device="null"),
            _NEW_POOL: new_pool,
            _RUN: lambda: run(task),
        }
        times = interleaved(contenders, repetitions)
        rates: dict[str, list[float]] = {_OURS: [], _POOL: []}
        for _ in range(runs):
            rates[_OURS].append(_rate(submit, tasks))
            rates[_POOL].append(_rate(lambda: pool.submit(direct), tasks))
    return [
        *_added("one small task", times, _OURS, _POOL, _ADDED),
        *_added("one small task through run()", times, _RUN, _NEW_POOL, ""),
        *_rates(rates, {"tasks": tasks, "in flight": _IN_FLIGHT}),
    ]


def _added(case: str, times: Times, ours: str, peer: str, target: str) -> list[Figure]:
    """Return the time that a way and its peer add to the direct call, in microseconds."""
    direct = times.median(_DIRECT)
    added = {name: [(seconds - direct) * 1e6 for seconds in times.seconds[name]] for name in (ours, peer)}
    detail = f"the direct call takes {direct * 1e6:.1f} us"
    beside: dict[str, Any] = {}
    if (theirs := summary(added[peer])[0]) > 0:
        # A turn in which the peer was no slower than the median direct call has no ratio.
        ratios = [a / b for a, b in zip(added[ours], added[peer], strict=True) if b > 0]
        ratio = summary(added[ours])[0] / theirs
        beside = {"beside": peer, "ratio": ratio, "ratio_spread": summary(ratios)[1], "target": target, "task": case}
    return [
        Figure.timed(case, ours, "time added", added[ours], "us", better="less", detail=detail, **beside),
        Figure.timed(case, peer, "time added", added[peer], "us", detail=detail),
    ]


def _rates(rates: Mapping[str, list[float]], sizes: Mapping[str, Parameter]) -> list[Figure]:
    """Return the tasks a second of the scheduler beside the pool."""
    ratios = [a / b for a, b in zip(rates[_OURS], rates[_POOL], strict=True)]
    return [
        Figure.timed(
            "null tasks",
            _OURS,
            "rate",
            rates[_OURS],
            "1/s",
            parameters=sizes,
            better="more",
            beside=_POOL,
            ratio=summary(rates[_OURS])[0] / summary(rates[_POOL])[0],
            ratio_spread=summary(ratios)[1],
            target=_RATE,
            task="null tasks a second",
        ),
        Figure.timed("null tasks", _POOL, "rate", rates[_POOL], "1/s", parameters=sizes),
    ]


def _rate(submit: Callable[[], concurrent.futures.Future[Any]], tasks: int) -> float:
    """Return the tasks a second of a client that keeps `_IN_FLIGHT` of them submitted and takes every answer."""
    waiting: deque[concurrent.futures.Future[Any]] = deque()
    start = time.perf_counter()
    for _ in range(tasks):
        waiting.append(submit())
        if len(waiting) == _IN_FLIGHT:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    return tasks / (time.perf_counter() - start)


#: Suite that measures the scheduler.
scheduler = Benchmark(_measure)
