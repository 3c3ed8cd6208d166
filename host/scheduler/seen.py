"""What can be seen of a scheduler: Prometheus metrics, structured log records, and a timeline that Perfetto opens."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec.errors import InputError
from ninefold.spec.signature import Call

from .guard import report, text_of

if TYPE_CHECKING:
    # Imported once metrics are asked for: a search from the command line asks for none.
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

__all__ = ["Readings", "Seen"]

_LOG = logging.getLogger("ninefold.scheduler")
#: Events of a timeline that are kept; the oldest go first.
KEPT_EVENTS: Final = 1_000_000
#: Upper bounds of the latency histogram in seconds: 50 us to 100 s, three a decade.
BUCKETS: Final = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

#: Gives metrics with their values at the time of asking.
Readings = Callable[[], "Iterable[Metric]"]


class _Read:
    """Metrics that are read when they are asked for, and cost nothing in between."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        """Give every metric with its current values."""
        return self._readings()

    def describe(self) -> Iterable[Metric]:
        """Give nothing: the devices are not known yet when this is registered."""
        return ()


class _Ended:
    """Tasks of one operator, device and outcome that have ended: how many in each bucket, and their seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Seen:
    """Observes a scheduler. Thread-safe.

    Parameters
    ----------
    timeline : bool
        Whether events are kept for `write_timeline`.

    Attributes
    ----------
    registry : prometheus_client.CollectorRegistry
        Give it to ``prometheus_client.start_http_server(port, registry=...)`` to be scraped.
    """

    def __init__(self, timeline: bool = False) -> None:
        # Counted here, and made metrics of when asked for: the library's counter and histogram take longer for a task
        # than all else that happens when it ends.
        self._ended: dict[tuple[str, str, str], _Ended] = {}
        self._moved: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()
        self._readings: list[Readings] = [self._tasks, self._fallbacks]
        self._unsaid: deque[tuple[str, dict[str, Any]]] = deque()
        self._events: deque[dict[str, Any]] | None = deque(maxlen=KEPT_EVENTS) if timeline else None
        self._started = time.perf_counter()

    @cached_property
    def registry(self) -> CollectorRegistry:
        """The registry of all metrics, with those that `add` has added so far."""
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        for readings in self._readings:
            registry.register(_Read(readings))
        return registry

    def add(self, readings: Readings) -> None:
        """Add metrics that are read when they are asked for, before `registry` is first used."""
        self._readings.append(readings)

    def ended(self, tasks: Sequence[tuple[str, str, str, float]]) -> None:
        """Count tasks that ended: operator, device, outcome, and the seconds since each was submitted."""
        with self._lock:
            for operator, device, outcome, seconds in tasks:
                key = (operator, device, outcome)
                if (of := self._ended.get(key)) is None:
                    of = self._ended[key] = _Ended()
                of.counts[bisect_left(BUCKETS, seconds)] += 1
                of.seconds += seconds
        if _LOG.isEnabledFor(logging.DEBUG):
            for operator, device, outcome, seconds in tasks:
                fields: dict[str, Any] = {
                    "operator": operator,
                    "device": device,
                    "outcome": outcome,
                    "seconds": seconds,
                }
                report("a task ended", level=logging.DEBUG, **fields)

    def _tasks(self) -> Iterator[Metric]:
        """Give how many tasks ended how, and how long they took."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        text = "Tasks by operator, the device that answered, and outcome: answered, failed or cancelled."
        tasks = CounterMetricFamily("ninefold_tasks", text, labels=("operator", "device", "outcome"))
        latencies: dict[tuple[str, str], _Ended] = {}
        with self._lock:
            for (operator, device, outcome), of in self._ended.items():
                tasks.add_metric((operator, device, outcome), sum(of.counts))
                latency = latencies.setdefault((operator, device), _Ended())
                latency.counts = [a + b for a, b in zip(latency.counts, of.counts, strict=True)]
                latency.seconds += of.seconds
        yield tasks
        text = "Time from submission to the answer."
        seconds = HistogramMetricFamily("ninefold_task_seconds", text, labels=("operator", "device"))
        for labels, latency in latencies.items():
            upto = zip((*map(str, map(float, BUCKETS)), "+Inf"), itertools.accumulate(latency.counts), strict=True)
            seconds.add_metric(labels, list(upto), latency.seconds)
        yield seconds

    def _fallbacks(self) -> Iterator[Metric]:
        """Give how many tasks moved on from a device, and why."""
        from prometheus_client.core import CounterMetricFamily

        text = "Tasks that a device did not answer, by the class of the error."
        family = CounterMetricFamily("ninefold_fallbacks", text, labels=("operator", "device", "reason"))
        with self._lock:
            moved = dict(self._moved)
        for labels, count in moved.items():
            family.add_metric(labels, count)
        yield family

    def ran(self, device: str, call: Call, started: float, seconds: float, tasks: int) -> None:
        """Note a call on a device for the timeline; `started` by `time.perf_counter`."""
        if self._events is not None:
            arguments = {**call.sizes, **{k: v for k, v in call.options.items() if v is not None}, "tasks": tasks}
            self._event("X", call.operator.name, device, started, dur=round(seconds * 1e6, 3), args=arguments)

    def prepared(self, device: str, what: str, started: float) -> None:
        """Note for the timeline what a device did before it could run a call; `started` by `time.perf_counter`."""
        if self._events is not None:
            self._event("X", what, device, started, dur=round((time.perf_counter() - started) * 1e6, 3))

    def fallback(self, operator: str, device: str, error: Exception, asked_for: str) -> None:
        """Note that a device did not answer a task; `say` logs it."""
        kind, reason = type(error).__name__, text_of(error)
        with self._lock:
            self._moved[operator, device, kind] = self._moved.get((operator, device, kind), 0) + 1
        extra = {"operator": operator, "device": device, "asked_for": asked_for, "error": kind, "reason": reason}
        self._unsaid.append(("a task moves on from a device", extra))
        if self._events is not None:
            self._event("i", f"{operator} moves on", device, time.perf_counter(), s="t", args={"reason": reason})

    def breaker(self, device: str, state: str, reason: str) -> None:
        """Note a transition of a circuit breaker; `say` logs it."""
        extra = {"device": device, "state": state, "reason": reason}
        self._unsaid.append(("a circuit breaker changed", extra))
        if self._events is not None:
            self._event("i", f"breaker {state}", device, time.perf_counter(), s="t", args={"reason": reason})

    def say(self) -> None:
        """Log what was noted, without the scheduler's lock: a handler may take its time, or ask the scheduler."""
        while self._unsaid:
            try:
                message, extra = self._unsaid.popleft()
            except IndexError:  # another thread was faster
                return
            report(message, **extra)

    def metrics(self) -> str:
        """Return all metrics in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry).decode()

    def write_timeline(self, path: Path) -> None:
        """Write the events in the Chrome trace format (JSON), which https://ui.perfetto.dev opens.

        One track a device, one slice a call with its sizes and options, others for opening and loading; instants for
        fallbacks and breakers.
        """
        if self._events is None:
            raise InputError("the scheduler was made without timeline=True, so it has kept no events")
        events = list(self._events)
        tracks = {device: number for number, device in enumerate(dict.fromkeys(e["tid"] for e in events), 1)}
        named = [
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": device}}
            for device, number in tracks.items()
        ]
        content = [*named, *({**event, "tid": tracks[event["tid"]]} for event in events)]
        path.write_text(json.dumps({"traceEvents": content, "displayTimeUnit": "ms"}))

    def _event(self, phase: str, name: str, device: str, at: float, **extra: Any) -> None:
        events = self._events
        if events is not None:
            at_us = round((at - self._started) * 1e6, 3)
            events.append({"ph": phase, "name": name, "pid": 1, "tid": device, "ts": at_us, **extra})
