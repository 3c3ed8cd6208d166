"""Supervision of time limits: hung calls and deadlines of tasks."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ninefold.spec.errors import DeadlineError, DeviceError

from .guard import report, start_thread
from .tasks import Job, Pending
from .telemetry import Telemetry
from .worker import Worker

__all__ = ["Supervisor"]


@dataclass(frozen=True)
class _Hung:
    worker: Worker
    jobs: list[Job]
    error: Exception


class Supervisor:
    """Thread that wakes at time limits; it starts with the first finite limit.

    Parameters
    ----------
    lock : threading.Lock
        Lock of the scheduler.
    clock : callable
        Monotonic clock in seconds.
    workers : mapping of str to Worker
        Workers whose calls are supervised; the mapping may grow.
    telemetry : Telemetry
        Telemetry.
    moved : callable
        ``moved(job, device, error)``, called without the lock: the device will not answer.
    late : callable
        ``late(pending, error)``, called without the lock: a deadline has passed.
    """

    def __init__(
        self,
        lock: threading.Lock,
        clock: Callable[[], float],
        workers: Mapping[str, Worker],
        telemetry: Telemetry,
        moved: Callable[[Job, str, Exception], None],
        late: Callable[[Pending, Exception], None],
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._workers = workers
        self._telemetry = telemetry
        self._moved = moved
        self._late = late
        self._alarm = threading.Condition(lock)
        self._wake_at = float("inf")
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def watch(self, at: float) -> None:
        """Check the calls at that time or earlier; call under the lock."""
        if at >= self._wake_at:
            return  # it wakes earlier and then finds the next limit
        self._wake_at = at
        if self._thread is None:
            try:
                self._thread = start_thread(self._serve, "ninefold supervisor")
            except DeviceError:
                self._wake_at = float("inf")  # the next call tries again
                raise
        self._alarm.notify()

    def expect(self, pending: Pending, at: float) -> None:
        """Set the deadline of a task; call under the lock."""
        heapq.heappush(self._deadlines, (at, next(self._order), pending))
        self.watch(at)

    def stop(self) -> None:
        """End the thread; call without the lock."""
        with self._lock:
            self._stopping = True
            self._alarm.notify()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._lock:
                if self._stopping:
                    return
                now = self._clock()
                hung, late = self._hung(now), self._passed(now)
                if not hung and not late:
                    self._wake_at = self._next()
                    self._alarm.wait(None if self._wake_at == float("inf") else self._wake_at - now)
                    continue
            self._telemetry.log_events()
            for entry in hung:
                report("a call hangs and is given up", device=entry.worker.name, reason=str(entry.error))
                for job in entry.jobs:
                    self._moved(job, entry.worker.name, entry.error)
            for pending in late:
                text = f"{pending.task.operator} was not answered within {pending.task.deadline_s:g} s"
                self._late(pending, DeadlineError(text))

    def _hung(self, now: float) -> list[_Hung]:
        found = []
        for worker in self._workers.values():
            if worker.limit_at is not None and worker.limit_at <= now:
                jobs, error = worker.give_up()
                found.append(_Hung(worker, jobs + worker.drain(), error))
        return found

    def _passed(self, now: float) -> list[Pending]:
        late = []
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].settled):
            pending = heapq.heappop(self._deadlines)[2]
            if not pending.settled:
                late.append(pending)
        return late

    def _next(self) -> float:
        limits = [worker.limit_at for worker in self._workers.values() if worker.limit_at is not None]
        return min([*limits, *(at for at, _, _ in self._deadlines[:1])], default=float("inf"))
