"""Timing contenders in turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["interleaved"]


def interleaved(contenders: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of each contender; they take turns, so that a busy machine is busy for all.

    Before each timed call runs an untimed one: the waiting threads of whoever ran before have gone to sleep by then,
    and its own are awake.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, function in contenders.items():
            function()
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
