"""What the scheduler costs: one small task beside the direct call, and how many it takes a second."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from ninefold.host.scheduler import Future, Scheduler
from ninefold.spec.benchmark import Benchmark, Better, Figure, Parameter, Request, Size
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
_UNDER_WAY = 512
_DIRECT, _POOL, _OURS = "direct call", "thread pool", "scheduler"


def _measure(request: Request) -> list[Figure]:
    """Measure on the device ``null``, which computes nothing; a thread pool that does the same work is the peer.

    A task that is waited for runs on the caller's thread; the rate is of tasks that are submitted and waited for later.
    """
    repetitions, tasks, runs = _PLANS[request.size]
    x = np.ones((1, 16), np.float32)
    device = backend("null").open()

    def direct() -> None:
        device.run(OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0}))

    with Scheduler(costs=None) as s, ThreadPoolExecutor(1) as pool:

        def submit() -> Future:
            return s.submit("quantise", x, scale=1.0, device="null")

        contenders: dict[str, Callable[[], object]] = {
            _DIRECT: direct,
            _POOL: lambda: pool.submit(direct).result(),
            _OURS: lambda: s.run("quantise", x, scale=1.0, device="null"),
        }
        times = interleaved(contenders, repetitions)
        rates: dict[str, list[float]] = {_OURS: [], _POOL: []}
        for _ in range(runs):
            rates[_OURS].append(_rate(submit, tasks))
            rates[_POOL].append(_rate(lambda: pool.submit(direct), tasks))
    sizes: dict[str, Parameter] = {"tasks": tasks, "under way": _UNDER_WAY}
    ratios = [a / b for a, b in zip(rates[_OURS], rates[_POOL], strict=True)]
    figures = [_added(times, name, "<= 100" if name == _OURS else "") for name in (_OURS, _POOL)]
    return [
        *figures,
        Figure.timed(
            "null tasks", _OURS, "rate", rates[_OURS], "1/s", parameters=sizes, better="more", target="> 20000"
        ),
        Figure.timed("null tasks", _POOL, "rate", rates[_POOL], "1/s", parameters=sizes),
        Figure.timed("null tasks", _OURS, "rate through the pool's", ratios, "", parameters=sizes, better="more"),
    ]


def _added(times: Times, name: str, target: str) -> Figure:
    """Return what a way takes longer than the direct call, in each turn."""
    added = [(way - direct) * 1e6 for way, direct in zip(times.seconds[name], times.seconds[_DIRECT], strict=True)]
    detail = f"the direct call takes {times.median(_DIRECT) * 1e6:.1f} us"
    better: Better = "less" if name == _OURS else ""
    return Figure.timed("one small task", name, "time added", added, "us", better=better, target=target, detail=detail)


def _rate(submit: Callable[[], concurrent.futures.Future[Any]], tasks: int) -> float:
    """Return tasks a second of a client that keeps so many under way, and takes every answer."""
    waiting: deque[concurrent.futures.Future[Any]] = deque()
    start = time.perf_counter()
    for _ in range(tasks):
        waiting.append(submit())
        if len(waiting) == _UNDER_WAY:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    return tasks / (time.perf_counter() - start)


#: Measures the scheduler.
scheduler = Benchmark(_measure)
