"""Telemetry of a scheduler: metrics, log records, a timeline for Perfetto, and the machine's energy counters."""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec.errors import InputError
from ninefold.spec.signature import Call

from .guard import report, text_of

if TYPE_CHECKING:
    # Imported on the first request for metrics: a search from the command line needs none.
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily, Metric

__all__ = ["Readings", "Sensor", "Telemetry", "energy", "sensors"]

_LOG = logging.getLogger("ninefold.scheduler")
#: Events kept for a timeline; the oldest are dropped first.
KEPT_EVENTS: Final = 1_000_000
#: Upper bounds of the latency histogram in seconds: 50 us to 100 s, three per decade.
BUCKETS: Final = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

#: Function that returns metrics with their current values.
Readings = Callable[[], "Iterable[Metric]"]


class _Read:
    """Metrics that are computed on request and cost nothing in between."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its current values."""
        return self._readings()

    def describe(self) -> Iterable[Metric]:
        """Return nothing, since devices are not known yet at registration."""
        return ()


class _Ended:
    """Ended tasks of one operator, device and outcome: their number in each bucket, and their total seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Telemetry:
    """Telemetry of one scheduler. Thread-safe.

    Parameters
    ----------
    timeline : bool
        If True, keep events for `write_timeline`.

    Attributes
    ----------
    unlogged : deque
        Events that `log_events` has not logged yet.
    registry : prometheus_client.CollectorRegistry
        Registry for ``prometheus_client.start_http_server(port, registry=...)``.
    """

    def __init__(self, timeline: bool = False) -> None:
        self.timeline = timeline
        # Counted here and converted to metrics on request: the library's counter and histogram take longer per task
        # than everything else at its end.
        self._ended: dict[tuple[str, str, str], _Ended] = {}
        self._moved: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()
        self._readings: list[Readings] = [self._tasks, self._fallbacks]
        self.unlogged: deque[tuple[str, dict[str, Any]]] = deque()
        self._events: deque[dict[str, Any]] | None = deque(maxlen=KEPT_EVENTS) if timeline else None
        self._started = time.perf_counter()

    @cached_property
    def registry(self) -> CollectorRegistry:
        """Registry of all metrics, including those that `add` adds later."""
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        for readings in self._readings:
            registry.register(_Read(readings))
        return registry

    def add(self, readings: Readings) -> None:
        """Add metrics that are computed on request."""
        self._readings.append(readings)
        if "registry" in self.__dict__:
            self.registry.register(_Read(readings))

    def ended(self, tasks: Sequence[tuple[str, str, str, float]]) -> None:
        """Count ended tasks: operator, device, outcome, and seconds since submission."""
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
        """Yield the metrics of ended tasks: counts and latencies."""
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
        text = "Time from submission to the answer, in seconds."
        seconds = HistogramMetricFamily("ninefold_task_seconds", text, labels=("operator", "device"))
        for labels, latency in latencies.items():
            upto = zip((*map(str, map(float, BUCKETS)), "+Inf"), itertools.accumulate(latency.counts), strict=True)
            seconds.add_metric(labels, list(upto), latency.seconds)
        yield seconds

    def _fallbacks(self) -> Iterator[Metric]:
        """Yield the metric of fallbacks: counts by device and class of error."""
        from prometheus_client.core import CounterMetricFamily

        text = "Tasks that a device did not answer, by class of the error."
        family = CounterMetricFamily("ninefold_fallbacks", text, labels=("operator", "device", "reason"))
        with self._lock:
            moved = dict(self._moved)
        for labels, count in moved.items():
            family.add_metric(labels, count)
        yield family

    def ran(self, device: str, call: Call, started: float, seconds: float, tasks: int) -> None:
        """Record a call on a device for the timeline; `started` as of `time.perf_counter`."""
        if self._events is not None:
            arguments = {**call.sizes, **{k: v for k, v in call.options.items() if v is not None}, "tasks": tasks}
            self._event("X", call.operator.name, device, started, dur=round(seconds * 1e6, 3), args=arguments)

    def prepared(self, device: str, what: str, started: float) -> None:
        """Record a device's preparation for a call for the timeline; `started` as of `time.perf_counter`."""
        if self._events is not None:
            self._event("X", what, device, started, dur=round((time.perf_counter() - started) * 1e6, 3))

    def fallback(self, operator: str, device: str, error: Exception, asked_for: str) -> None:
        """Record that a device did not answer a task; `log_events` logs it."""
        kind, reason = type(error).__name__, text_of(error)
        with self._lock:
            self._moved[operator, device, kind] = self._moved.get((operator, device, kind), 0) + 1
        extra = {"operator": operator, "device": device, "asked_for": asked_for, "error": kind, "reason": reason}
        self.unlogged.append(("a task falls back from a device", extra))
        if self._events is not None:
            self._event("i", f"{operator} falls back", device, time.perf_counter(), s="t", args={"reason": reason})

    def breaker(self, device: str, state: str, reason: str) -> None:
        """Record a transition of a circuit breaker; `log_events` logs it."""
        extra = {"device": device, "state": state, "reason": reason}
        self.unlogged.append(("a circuit breaker changed", extra))
        if self._events is not None:
            self._event("i", f"breaker {state}", device, time.perf_counter(), s="t", args={"reason": reason})

    def log_events(self) -> None:
        """Log the recorded events, without the scheduler's lock: a log handler may be slow or call the scheduler."""
        while self.unlogged:
            try:
                message, extra = self.unlogged.popleft()
            except IndexError:  # another thread was faster
                return
            report(message, **extra)

    def metrics(self) -> str:
        """Return all metrics in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry).decode()

    def write_timeline(self, path: Path) -> None:
        """Write the events in the Chrome trace format (JSON), which https://ui.perfetto.dev opens.

        Each device has a track with one slice per call, with sizes and options, and slices for opening and loading.
        Fallbacks and breakers are instant events.
        """
        if self._events is None:
            raise InputError("the scheduler was created without timeline=True, so it has no events")
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


#: Folder of the processors' energy counters in Linux (running average power limit).
RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Sensor:
    """Energy counter.

    Attributes
    ----------
    name : str
        Name of the sensor, e.g. ``rapl:package-0`` or ``nvml:0``.
    joules : callable
        ``joules()`` returns the energy since an arbitrary time; RAPL's counters wrap around.
    """

    name: str
    joules: Callable[[], float]


def sensors(rapl: Path = RAPL) -> tuple[list[Sensor], list[str]]:
    """Return the readable sensors, and the reason for each kind that cannot be read.

    Parameters
    ----------
    rapl : Path
        Folder of the processors' counters.
    """
    processors, why_no_rapl = _rapl(rapl)
    cards, why_no_nvml = _nvml()
    return processors + cards, [reason for reason in (why_no_rapl, why_no_nvml) if reason]


def energy() -> Iterator[GaugeMetricFamily]:
    """Yield a metric with the energy counted by each sensor."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("ninefold_energy_joules", "Energy counters of this machine.", labels=("sensor",))
    for sensor in sensors()[0]:
        family.add_metric((sensor.name,), sensor.joules())
    yield family


def _rapl(folder: Path) -> tuple[list[Sensor], str]:
    counters = sorted(folder.glob("*-rapl:*/energy_uj"))
    if not counters:
        return [], f"RAPL: no counter in {folder}"
    found: list[Sensor] = []
    for counter in counters:
        try:
            name = (counter.parent / "name").read_text().strip()
            int(counter.read_text())
        except (OSError, ValueError) as error:
            return found, f"RAPL: {counter} cannot be read: {getattr(error, 'strerror', None) or error}"
        found.append(Sensor(f"rapl:{name}", partial(_joules, counter)))
    return found, ""


def _joules(counter: Path) -> float:
    return int(counter.read_text()) / 1e6


def _nvml() -> tuple[list[Sensor], str]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return [], "NVML: pynvml is not installed"
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        found: list[Sensor] = []
        for number, handle in enumerate(handles):
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # raises if the card has no counter
            found.append(Sensor(f"nvml:{number}", partial(_card_joules, nvml, handle)))
    except nvml.NVMLError as error:
        return [], f"NVML: {error}"
    return found, "" if found else "NVML: no card"


def _card_joules(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
