"""What the scheduler costs: one small task beside the direct call, and how many it takes a second."""

from __future__ import annotations

import statistics
import time
from collections import deque

import numpy as np

from ninefold.host.scheduler import Future, Scheduler
from ninefold.spec.benchmark import Row
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend

__all__ = ["scheduler"]

_REPETITIONS, _TASKS, _UNDER_WAY = 3001, 40_000, 512


def scheduler() -> list[Row]:
    """Measure on the device ``null``, which computes nothing."""
    x = np.ones((1, 16), np.float32)
    device = backend("null").open()
    with Scheduler(costs=None) as s:

        def direct() -> None:
            device.run(OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0}))

        def through() -> None:
            s.run("quantise", x, scale=1.0, device="null")

        times: dict[str, list[float]] = {"direct": [], "through": []}
        for _ in range(_REPETITIONS):
            for name, function in (("direct", direct), ("through", through)):
                start = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values) * 1e6 for name, values in times.items()}
        rates = [_rate(s, x) for _ in range(5)]
    added = medians["through"] - medians["direct"]
    detail = f"direct call {medians['direct']:.1f} us, through the scheduler {medians['through']:.1f} us, null device"
    spread = f"median of {len(rates)} runs, {min(rates):,.0f} to {max(rates):,.0f}; {_UNDER_WAY} under way"
    return [
        Row("scheduler, one small task, time added", added, "us", "<= 100", "direct call", detail),
        Row("scheduler, null tasks a second", statistics.median(rates), "1/s", "> 20000", "", spread),
    ]


def _rate(s: Scheduler, x: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> float:
    """Return tasks a second of a client that keeps so many under way, and takes every answer."""
    waiting: deque[Future] = deque()
    start = time.perf_counter()
    for _ in range(_TASKS):
        waiting.append(s.submit("quantise", x, scale=1.0, device="null"))
        if len(waiting) == _UNDER_WAY:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    return _TASKS / (time.perf_counter() - start)
