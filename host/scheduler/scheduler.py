"""The scheduler's interface to users."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, overload

import numpy as np

from ninefold.spec.data import Database, Result, State, Task
from ninefold.spec.errors import DeviceError, InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Backend
from ninefold.spec.signature import Operator

from .admission import Admission, bound, check_settings, check_state, task_of
from .breaker import COOL_S, FAILURES, Breaker
from .costs import Costs, costs_file
from .devices import DeviceStatus
from .dispatch import Dispatcher
from .guard import in_callback, start_thread
from .placement import Choice
from .states import DatabaseHandle, StateHandle
from .tasks import AUTO, Future, Pending
from .telemetry import Readings, Telemetry, energy

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Scheduler", "run"]

#: Seconds allowed for running calls when a scheduler is closed because of an error.
_GRACE_S: Final = 1.0


class Scheduler:
    """Scheduler that runs tasks on the available devices, with visible fallback. Thread-safe; a context manager.

    ::

        with Scheduler() as s:
            db = s.load(database)
            future = s.submit("mine", queries, db, k=10)
            print(future.result().answered_by)

    Leaving the ``with`` block waits for all submitted tasks; an exception cancels waiting tasks.

    Parameters
    ----------
    backends : mapping of str to Backend, optional
        Backends by name; by default the installed ones (entry points).
    operators : mapping of str to Operator, optional
        Operators by name; by default `ninefold.spec.operators`.
    costs : Path or None, optional
        File for measured times; by default `costs_file`, or None to save nothing.
    queue_size : int
        Maximum number of tasks in flight; `submit` waits at this limit.
    check_every : int
        Spot-check one in this number of a device's answers, in addition to trials; 1 checks all.
    copy_every : int
        Number of steps after which the host copies a state that its device keeps; see `StateHandle.state`.
    retries : int
        Number of retries of a strict task on its device, and of any task on the CPU as last resort.
    refresh_s : float or None
        Interval of searches for devices while tasks arrive, in seconds; None to disable.
    failures, cool_s : int, float
        Parameters of circuit breakers; see `Breaker`.
    timeline : bool
        If True, keep events for `write_timeline`.
    seed : int
        Seed for the rows of spot checks.
    clock : callable
        Monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend] | None = None,
        operators: Mapping[str, Operator] | None = None,
        costs: Path | str | None = "",
        queue_size: int = 4096,
        check_every: int = 16,
        copy_every: int = 16,
        retries: int = 1,
        refresh_s: float | None = 30.0,
        failures: int = FAILURES,
        cool_s: float = COOL_S,
        timeline: bool = False,
        seed: int = 9,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value, low in (
            ("queue_size", queue_size, 1),
            ("check_every", check_every, 1),
            ("copy_every", copy_every, 1),
            ("retries", retries, 0),
        ):
            if value < low:
                raise InputError(f"{name} must be at least {low}, not {value}")
        self._operators = OPERATORS if operators is None else operators
        self._clock = clock
        self._lock = threading.Lock()
        self._admission = Admission(self._lock, queue_size)
        self._costs = Costs(costs_file() if costs == "" else Path(costs) if costs else None)
        self._telemetry = Telemetry(timeline)
        breaker = partial(Breaker, clock, failures=failures, cool_s=cool_s)
        self._dispatcher = Dispatcher(
            backends=backends,
            lock=self._lock,
            clock=clock,
            admission=self._admission,
            costs=self._costs,
            telemetry=self._telemetry,
            breaker=breaker,
            generator=np.random.default_rng(seed),
            check_every=check_every,
            copy_every=copy_every,
            retries=retries,
            refresh_s=refresh_s,
        )
        self._devices = self._dispatcher.devices
        self._telemetry.add(self._devices.gauges)
        self._telemetry.add(energy)

    # Tasks.

    def submit(self, operator: str, *arguments: Any, **keywords: Any) -> Future:
        """Submit a task; wait while `queue_size` tasks are in flight.

        Parameters
        ----------
        operator : str
            Name of the operator.
        *arguments : array, Database, DatabaseHandle or StateHandle
            Arguments in the order of the operator's signature.
        **keywords
            Further arguments and options of the operator, and ``device``, ``strict``, ``prefer``, ``priority``,
            ``deadline_s`` and ``timeout_s`` as in `Task`.

        Returns
        -------
        Future
            Future of a `Result`. ``result()`` raises `DeviceError`, `UnsupportedError` or `UnavailableError` if no
            device (or, if strict, not the named device) answered, and `DeadlineError` after the deadline.

        Raises
        ------
        InputError
            Unknown operator or backend, or arguments that the operator refuses.
        """
        return self.submit_task(self.task(operator, *arguments, **keywords))

    def run(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task and return its result; see `submit`."""
        return self.run_task(task_of(operator, self._operators, arguments, keywords))

    async def run_async(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task without blocking the event loop, even when the queue is full; see `submit`."""
        task = self.task(operator, *arguments, **keywords)
        pending = self._prepare(task)
        while (turn := self._admission.enter_or_queue(pending)) is not None:
            await turn
        self._dispatcher.start(pending)
        return await pending.promise()

    def task(self, operator: str, *arguments: Any, **keywords: Any) -> Task:
        """Return the `Task` that `submit` sends for these arguments."""
        return task_of(operator, self._operators, arguments, keywords)

    def submit_task(self, task: Task) -> Future:
        """Submit a task; see `submit`."""
        pending = self._prepare(task)
        # Waiting in a callback would block the thread that makes room; the ended task has already left its place.
        self._admission.enter(pending, wait=not in_callback())
        self._dispatcher.start(pending)
        return pending.future or pending.promise()

    def run_task(self, task: Task) -> Result:
        """Run a task and return its result; see `submit`. Not for done-callbacks, which must not wait.

        If the device is idle and has no time limit, such as the CPU, the call runs on this thread.
        """
        if in_callback():
            raise InputError("a done-callback may not wait for a task: call submit instead of run")
        pending = self._prepare(task)
        pending.waited_for = True
        self._admission.enter(pending)
        self._dispatcher.start(pending)
        if isinstance(pending.given, Result):
            return pending.given
        future = pending.promise()
        try:
            return future.result()
        except BaseException:
            future.cancel()  # after an interrupt no one waits for it, so it need not start
            raise

    def check_task(self, task: Task) -> None:
        """Raise the errors of `submit_task`, and the error of a strict task whose device is not available."""
        pending = self._prepare(task)
        if task.strict and pending.absent is not None:
            raise pending.absent

    def explain(self, operator: str, *arguments: Any, **keywords: Any) -> Choice:
        """Return the current choice for a task and its candidates, without running it."""
        return self._dispatcher.explain(self._prepare(self.task(operator, *arguments, **keywords)))

    # Residents and devices.

    @overload
    def load(self, resident: Database) -> DatabaseHandle: ...

    @overload
    def load(self, resident: State) -> StateHandle: ...

    def load(self, resident: Database | State) -> DatabaseHandle | StateHandle:
        """Register a database or a state, and return a handle for use in tasks.

        A database is loaded on a device when a task first uses it there. It stays until it is evicted or unloaded, or
        the scheduler is closed. The scheduler takes over a state: its steps run one at a time, each from the last
        committed version.

        Returns
        -------
        DatabaseHandle or StateHandle

        Raises
        ------
        InputError
            Any other type, a state that no operator's declaration fits, or one whose id is already held.
        """
        if isinstance(resident, Database):
            return DatabaseHandle(resident)
        if not isinstance(resident, State):
            raise InputError(f"a resident must be a Database or a State, not {type(resident).__name__}")
        check_state(resident, self._operators)
        return self._dispatcher.states.hold(resident)

    def unload(self, handle: DatabaseHandle | StateHandle) -> None:
        """Drop a resident from every device after its current call; a state is copied to the host and released."""
        if isinstance(handle, DatabaseHandle):
            key = handle.database.digest
        else:
            key = handle.state.id
            self._dispatcher.states.release(handle)
        with self._lock:
            for worker in self._devices.workers.values():
                worker.drop(key)

    def devices(self) -> list[DeviceStatus]:
        """Return every found or missing device with its state, queue and residents."""
        self._devices.survey()
        return self._devices.status()

    def offer(self, device: str) -> None:
        """Add a device that no search finds, such as a board at a URL, to the devices; it is opened by its first task.

        Raises
        ------
        InputError
            There is no such backend, or the name is none of its own.
        UnavailableError
            The backend has no such device.
        """
        _, absent = self._devices.named(device)
        if absent is not None:
            raise absent

    def beside_host(self, operator: str) -> list[str] | None:
        """Return the devices on other hardware than this processor that may be chosen for an operator.

        Nothing is probed. None if no task or `devices` has searched for devices yet.
        """
        with self._lock:
            if not self._devices.surveyed:
                return None
            workers = list(self._devices.workers.values())
        able = [w for w in workers if not (w.unit == HOST or w.gone or w.found.named_only) and w.found.computes]
        return [worker.name for worker in able if operator in worker.operators and not worker.operators[operator]]

    def refresh(self) -> None:
        """Search for devices again, to add new ones and remove vanished ones."""
        self._devices.survey(again=True)

    # Telemetry.

    @property
    def registry(self) -> CollectorRegistry:
        """Registry of this scheduler's Prometheus metrics."""
        return self._telemetry.registry

    @property
    def hung(self) -> int:
        """Number of calls and probes that were given up and have not returned."""
        with self._lock:
            return self._devices.hung

    def add_metrics(self, readings: Readings) -> None:
        """Add metrics of another party: ``readings()`` yields them with their current values on each request."""
        self._telemetry.add(readings)

    def metrics(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return self._telemetry.metrics()

    def write_timeline(self, path: str | Path) -> None:
        """Write the timeline of a scheduler created with ``timeline=True``; see `Telemetry.write_timeline`."""
        self._telemetry.write_timeline(Path(path))

    # Closing.

    def close(self, *, cancel: bool = False) -> None:
        """Wait for all tasks, close every device, end every thread and save the measured costs.

        In a done-callback it returns at once and closes the scheduler on another thread.

        Parameters
        ----------
        cancel : bool
            Cancel waiting tasks, and allow one second for running ones.
        """
        if in_callback():
            # Closing waits for the thread that runs the callback.
            start_thread(partial(self.close, cancel=cancel), "ninefold close", daemon=False)
            return
        inside = self._admission.close()
        waiting = inside if cancel else []
        for pending in waiting:
            if pending.future is not None:  # else its waiting thread runs it
                pending.future.cancel()
        self._admission.wait_until_empty(_GRACE_S if cancel else None)
        self._dispatcher.states.copy_all(_GRACE_S if cancel else None)
        self._dispatcher.stop(_GRACE_S if cancel else float("inf"))
        self._costs.save()
        for pending in waiting:
            self._dispatcher.settle(pending, DeviceError("the scheduler was closed while the task ran"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def _prepare(self, task: Task) -> Pending:
        """Check a task and find the device that it names."""
        check_settings(task)
        call = bound(task, self._operators)
        pending = Pending(task, call, self._clock(), self._dispatcher.cancelled)
        if task.device not in (None, AUTO):
            pending.open_choice = False
            pending.named, pending.absent = self._devices.named(str(task.device))
        return pending


def run(task: Task) -> Result:
    """Run one task on a new scheduler; see `Scheduler.submit`."""
    with Scheduler() as scheduler:
        return scheduler.run_task(task)
