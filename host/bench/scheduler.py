"""What the scheduler costs: one small task beside the direct call, and how many it takes a second."""

from __future__ import annotations

import concurrent.futures
import statistics
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ninefold.host.scheduler import Future, Scheduler
from ninefold.spec.benchmark import Row
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend

from .timing import interleaved

__all__ = ["scheduler"]

_REPETITIONS, _TASKS, _UNDER_WAY = 1501, 20_000, 512


def scheduler() -> list[Row]:
    """Measure on the device ``null``, which computes nothing; a thread pool that does the same work is the peer.

    A task that is waited for runs on the caller's thread; the rate is of tasks that are submitted and waited for later.
    """
    x = np.ones((1, 16), np.float32)
    device = backend("null").open()

    def direct() -> None:
        device.run(OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0}))

    with Scheduler(costs=None) as s, ThreadPoolExecutor(1) as pool:

        def submit() -> Future:
            return s.submit("quantise", x, scale=1.0, device="null")

        contenders: dict[str, Callable[[], object]] = {
            "direct": direct,
            "pool": lambda: pool.submit(direct).result(),
            "scheduler": lambda: s.run("quantise", x, scale=1.0, device="null"),
        }
        medians = {name: seconds * 1e6 for name, seconds in interleaved(contenders, _REPETITIONS).items()}
        rates = {"scheduler": [_rate(submit)], "pool": [_rate(lambda: pool.submit(direct))]}
        for _ in range(4):
            rates["scheduler"].append(_rate(submit))
            rates["pool"].append(_rate(lambda: pool.submit(direct)))
    rate = {name: statistics.median(values) for name, values in rates.items()}
    times = ", ".join(f"{name} {us:.1f} us" for name, us in medians.items())
    spread = f"{min(rates['scheduler']):,.0f} to {max(rates['scheduler']):,.0f} in 5 runs, {_UNDER_WAY} under way"
    beside, peer = "direct call", "thread pool, same work"
    added = {name: medians[name] - medians["direct"] for name in ("scheduler", "pool")}
    return [
        Row("one small task, time added", added["scheduler"], "us", "<= 100", beside, times),
        Row("the same by a thread pool", added["pool"], "us", "", beside),
        Row("null tasks a second", rate["scheduler"], "1/s", "> 20000", peer, f"{spread}; pool {rate['pool']:,.0f}"),
    ]


def _rate(submit: Callable[[], concurrent.futures.Future[Any]]) -> float:
    """Return tasks a second of a client that keeps so many under way, and takes every answer."""
    waiting: deque[concurrent.futures.Future[Any]] = deque()
    start = time.perf_counter()
    for _ in range(_TASKS):
        waiting.append(submit())
        if len(waiting) == _UNDER_WAY:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    return _TASKS / (time.perf_counter() - start)
