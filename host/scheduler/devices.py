"""Devices of a scheduler: probing of backends, loss of devices, and recovery."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec import registry
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.protocols import Backend, Found, Missing
from ninefold.spec.runners import operators_of

from .breaker import Breaker
from .execution import WorkerContext
from .guard import report, start_thread, text_of
from .tasks import Job
from .worker import Worker

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["LAST_RESORT", "PROBE_S", "DeviceStatus", "Devices", "Probed", "Prober"]

#: Time limit of a probe in seconds.
PROBE_S: Final = 10.0


@dataclass(frozen=True)
class Probed:
    """Result of one probe of a backend.

    Attributes
    ----------
    backend : Backend or None
        Backend, or None if it could not be imported.
    operators : mapping of str to str or None
        Operator -> None, or the reason that it is not run.
    found : sequence of Found
        Available devices.
    missing : sequence of Missing
        Missing devices with reasons.
    """

    backend: Backend | None
    operators: Mapping[str, str | None]
    found: Sequence[Found]
    missing: Sequence[Missing]


class Prober:
    """Prober of backends, each in its own thread, so that none can delay the others. Thread-safe.

    Parameters
    ----------
    backends : mapping of str to Backend, optional
        Backends by name; by default the installed ones (entry points).
    probe_s : float
        Time limit of a probe in seconds.
    """

    def __init__(self, backends: Mapping[str, Backend] | None = None, probe_s: float = PROBE_S) -> None:
        #: Names of all backends, even without devices.
        self.names = tuple(registry.backend_names() if backends is None else backends)
        self._given = backends
        self._probe_s = probe_s
        self._lock = threading.Lock()
        self._made: dict[str, Backend] = {}
        self._probes: dict[str, threading.Thread] = {}
        self._last: dict[str, Probed] = {}

    @property
    def hung(self) -> int:
        """Number of probes that were given up and have not returned."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._probes.values())

    def check(self, device: str) -> str:
        """Return the backend part of a device's name; raise `InputError` if there is no such backend."""
        family, colon, instance = device.partition(":")
        if family not in self.names or (colon and not instance):
            allowed = ", ".join(self.names)
            # A URL or the name of a configuration means a board.
            hint = f"; did you mean 'board:{device}'?" if "/" in device and "board" in self.names else ""
            raise InputError(f"device must be auto or one of {allowed}, alone or with :INSTANCE, not {device!r}{hint}")
        return family

    def probed(self, family: str) -> Probed | None:
        """Return the result of the last probe of a backend, or None before the first."""
        return self._last.get(family)

    def probe(self, families: Iterable[str] | None = None, *, again: bool = False) -> dict[str, Probed]:
        """Probe backends in parallel and return their results.

        Parameters
        ----------
        families : iterable of str, optional
            Names of backends; all by default.
        again : bool
            Repeat earlier probes.

        Raises
        ------
        DeviceError
            The system does not allow a thread for a probe.
        """
        wanted = list(self.names if families is None else families)
        results: dict[str, Probed] = {}
        started: dict[str, threading.Thread] = {}
        for family in wanted:
            if not again and family in self._last:
                continue
            with self._lock:
                running = self._probes.get(family)
                if running is not None and running.is_alive():
                    started[family] = running  # another caller's probe, or a hung one
                    continue
                thread = start_thread(partial(self._look, family), f"ninefold probe {family}")
                self._probes[family] = started[family] = thread
        for family, thread in started.items():
            thread.join(self._probe_s)
            if thread.is_alive():
                reason = f"the probe of {family} has not returned for {self._probe_s:g} s"
                self._last[family] = Probed(None, {}, (), (Missing(family, reason, "check its driver"),))
        for family in wanted:
            results[family] = self._last[family]
        return results

    def _look(self, family: str) -> None:
        me = threading.current_thread()
        try:
            backend = self._backend(family)
            entries = backend.probe()
            found = tuple(entry for entry in entries if isinstance(entry, Found))
            missing = tuple(entry for entry in entries if isinstance(entry, Missing))
            probed = Probed(backend, operators_of(backend), found, missing)
        except BaseException as error:  # a third party's backend may raise anything
            reason = f"its probe failed: {type(error).__name__}: {text_of(error)}"
            probed = Probed(None, {}, (), (Missing(family, reason, "fix or remove the package that provides it"),))
        with self._lock:
            # The result of a probe that was given up and overtaken by a later one is out of date.
            if self._probes.get(family) is me:
                self._last[family] = probed

    def _backend(self, family: str) -> Backend:
        if self._given is not None:
            return self._given[family]
        if family not in self._made:
            self._made[family] = registry.backend(family)
        return self._made[family]


#: Device that answers if no other does.
LAST_RESORT: Final = "cpu"


@dataclass(frozen=True)
class DeviceStatus:
    """Status of a device, as shown by ``ninefold devices``.

    Attributes
    ----------
    device : str
        Name of the device, ``backend[:instance]``.
    entry : Found or Missing
        Result of the probe.
    operators : mapping of str to str or None
        Operator -> None, or the reason that it is not run.
    state : str
        ``ready``, ``missing``, ``gone``, or the state of its circuit breaker with the reason.
    depth : int
        Number of waiting and running tasks.
    residents : mapping of str to int
        Bytes by digest or id.
    capacity_bytes : int or None
        Memory for residents, if the device is open and has its own.
    """

    device: str
    entry: Found | Missing
    operators: Mapping[str, str | None]
    state: str
    depth: int = 0
    residents: Mapping[str, int] | None = None
    capacity_bytes: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the status as values of JSON."""
        record: dict[str, Any] = {"device": self.device, "state": self.state}
        if isinstance(self.entry, Missing):
            return {**record, "reason": self.entry.reason, "install": self.entry.install}
        return {
            **record,
            "kind": self.entry.kind,
            "description": self.entry.description,
            "unit": self.entry.unit or self.device,
            "named_only": self.entry.named_only,
            "ratings": dict(self.entry.ratings),
            "operators": dict(self.operators),
            "residents": dict(self.residents or {}),
            "capacity_bytes": self.capacity_bytes,
        }


class Devices:
    """Workers by name of their device.

    Parameters
    ----------
    backends : mapping of str to Backend or None
        As in `Prober`.
    workers : dict of str to Worker
        Mapping to fill, guarded by the scheduler's lock.
    context : WorkerContext
        Objects and callbacks shared by the workers.
    breaker : callable
        Factory of circuit breakers.
    refresh_s : float or None
        Interval in seconds after which `survey` searches again in the background.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend] | None,
        workers: dict[str, Worker],
        context: WorkerContext,
        breaker: Callable[[], Breaker],
        refresh_s: float | None,
    ) -> None:
        self.workers = workers
        self.prober = Prober(backends)
        self._context = context
        self._breaker = breaker
        self._refresh_s = refresh_s
        self._surveyed_at: float | None = None
        #: Devices that no probe lists; only opening them shows if they are available.
        self._unlisted: set[str] = set()
        self._surveying: threading.Thread | None = None

    @property
    def surveyed(self) -> bool:
        """True if every backend has been probed."""
        return self._surveyed_at is not None

    @property
    def hung(self) -> int:
        """Number of calls and probes that were given up and have not returned; read under the lock."""
        return sum(worker.breaker.hung for worker in self.workers.values()) + self.prober.hung

    def survey(self, *, again: bool = False) -> None:
        """Probe every backend for the first time or again; jobs of vanished devices fall back.

        A recent survey is reused. An old one is also reused while a new one starts in the background.
        """
        now = time.monotonic()
        if self._surveyed_at is not None and not again:
            if self._refresh_s is not None and now - self._surveyed_at > self._refresh_s:
                self._survey_in_background()
            return
        self._take_over(self.prober.probe(again=again))
        self._surveyed_at = time.monotonic()

    def at_least_one(self) -> None:
        """Ensure that there is a device for fallback."""
        if LAST_RESORT in self.prober.names:
            if self.prober.probed(LAST_RESORT) is None:
                self._take_over(self.prober.probe([LAST_RESORT]))
        else:
            self.survey()

    @property
    def last_resort_absent(self) -> UnavailableError | None:
        """Reason that the CPU is not available; None if it is, or is not among the backends."""
        probed = self.prober.probed(LAST_RESORT)
        if probed is None or LAST_RESORT in self.workers:
            return None
        return _absent(LAST_RESORT, probed)

    def last_resort(self) -> Worker | None:
        """Return the CPU if it is available."""
        return self.workers.get(LAST_RESORT)

    def named(self, device: str) -> tuple[str | None, UnavailableError | None]:
        """Return a device's full name, or the reason that it is not available; only its backend is probed.

        Raises
        ------
        InputError
            There is no such backend.
        """
        if (worker := self.workers.get(device)) is not None and not worker.gone:
            return device, None
        family, instance = self.prober.check(device), device.partition(":")[2]
        probed = self.prober.probe([family], again=worker is not None)[family]
        self._take_over({family: probed})
        resolve = getattr(probed.backend, "resolve", None)
        unlisted = None
        if resolve is not None and instance:
            try:
                resolved = resolve(instance)
            except UnavailableError as error:
                if probed.found:
                    return None, error
                resolved = device
            unlisted = resolved if isinstance(resolved, Found) else None
            device = resolved if unlisted is None else unlisted.device
        with self._context.lock:
            if device == family and probed.found:
                return probed.found[0].device, None
            if (worker := self.workers.get(device)) is not None and not worker.gone:
                return device, None
            known_missing = any(entry.device in (device, family) for entry in probed.missing)
            if probed.backend is None or (unlisted is None and (known_missing or not probed.found)):
                return None, _absent(device, probed)
            # A device that the probe does not list, for example a board at a URL: only opening it shows if it is
            # available.
            if unlisted is None:
                like = probed.found[0]
                text, known = f"{family} by name", (like.kind, like.unit, like.timeout_s, like.computes)
                unlisted = Found(device, text, {}, True, *known)
            else:
                self._unlisted.add(device)
            self.workers[device] = self._worker(unlisted, probed.backend, probed.operators)
            return device, None

    def status(self) -> list[DeviceStatus]:
        """Return every device, found or missing, in the order of its backend's name."""
        listed = []
        for family in self.prober.names:
            probed = self.prober.probed(family)
            if probed is None:
                continue
            named = {name: self.workers[name].found for name in sorted(self._unlisted) if name.startswith(f"{family}:")}
            for found in (named | {entry.device: entry for entry in probed.found}).values():
                worker = self.workers.get(found.device)
                if worker is None:
                    continue  # found by a survey in the background that has not registered it yet
                state = "gone" if worker.gone else "ready"
                if worker.breaker.state != "closed":
                    state = f"{worker.breaker.state}: {worker.breaker.reason}"
                sizes, capacity = worker.residents.sizes(), worker.capacity_bytes
                listed.append(DeviceStatus(found.device, found, worker.operators, state, worker.depth, sizes, capacity))
            listed += [DeviceStatus(entry.device, entry, probed.operators, "missing") for entry in probed.missing]
        return listed

    def join(self) -> None:
        """Wait for a survey in the background."""
        if self._surveying is not None:
            self._surveying.join()

    def gauges(self) -> Iterator[GaugeMetricFamily]:
        """Yield the current metrics of devices."""
        from prometheus_client.core import GaugeMetricFamily

        with self._context.lock:
            workers = list(self.workers.values())
        states = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
        for name, text, value in (
            ("queue_depth", "Tasks waiting or running.", lambda w: w.depth),
            ("breaker_state", "Circuit breaker: 0 closed, 0.5 half-open, 1 open.", lambda w: states[w.breaker.state]),
            (
                "resident_bytes",
                "Bytes of databases and states on the device.",
                lambda w: sum(w.residents.sizes().values()),
            ),
            ("hung_calls", "Calls that were given up and have not returned.", lambda w: w.breaker.hung),
        ):
            family = GaugeMetricFamily(f"ninefold_{name}", text, labels=("device",))
            for worker in workers:
                family.add_metric((worker.name,), value(worker))
            yield family

    def _take_over(self, probes: Mapping[str, Probed]) -> None:
        """Create workers of new devices, and mark vanished devices as gone."""
        stranded: list[tuple[Worker, Job]] = []
        with self._context.lock:
            for family, probed in probes.items():
                for found in probed.found:
                    self._found(found, probed)
                there = {found.device for found in probed.found}
                reasons = {entry.device: entry.reason for entry in probed.missing}
                for name, worker in self.workers.items():
                    if name.partition(":")[0] == family and name not in there and not worker.gone:
                        if name in self._unlisted or (worker.found.named_only and worker.opened and probed.found):
                            continue  # its name is not in any probe
                        worker.gone = reasons.get(name) or reasons.get(family) or "the last probe did not find it"
                        stranded += [(worker, job) for job in worker.drain()]
        for worker, job in stranded:
            error = LostDeviceError(f"{worker.name} is no longer available: {worker.gone}")
            self._context.moved(job, worker.name, error)

    def _found(self, found: Found, probed: Probed) -> None:
        worker = self.workers.get(found.device)
        self._context.costs.describe(found.device, found.description)
        if worker is not None:
            worker.see(found)
        elif probed.backend is not None:
            self.workers[found.device] = self._worker(found, probed.backend, probed.operators)

    def _worker(self, found: Found, backend: Backend, operators: Mapping[str, str | None]) -> Worker:
        own = operators if found.operators is None else found.operators
        return Worker(found, backend, own, self._context, self._breaker())

    def _survey_in_background(self) -> None:
        with self._context.lock:
            if self._surveying is None or not self._surveying.is_alive():
                with contextlib.suppress(DeviceError):  # the next task tries again
                    self._surveying = start_thread(self._survey_again, "ninefold survey")

    def _survey_again(self) -> None:
        try:
            self.survey(again=True)
        except BaseException as error:
            report(f"searching for devices again failed: {text_of(error)}", error)


def _absent(device: str, probed: Probed) -> UnavailableError:
    """Return the error of a missing device: its own reason, else its backend's, else another device's."""
    family = device.partition(":")[0]
    unknown = Missing(device, "its backend finds no device")
    entry = min(probed.missing, key=lambda e: (e.device != device, e.device != family), default=unknown)
    return UnavailableError(f"{device} is not available: {entry.reason}", entry.install)
