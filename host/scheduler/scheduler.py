"""The scheduler: tasks in, answers out, whatever the devices do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, overload

import numpy as np

from ninefold.host import around
from ninefold.spec.data import Answer, Database, Result, State, Task
from ninefold.spec.errors import DeviceError, InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend
from ninefold.spec.signature import Operator

from .breaker import COOL_S, FAILURES, Breaker
from .choice import Choice, refusal
from .costs import Costs, costs_file
from .fleet import DeviceStatus
from .flow import Flow
from .guard import in_callback, start_thread
from .handles import DatabaseHandle, StateHandle
from .intake import bound, check_settings, signature_of, task_of
from .power import energy
from .room import Room
from .seen import Seen
from .work import AUTO, Future, Job, Pending

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Scheduler", "run"]

#: Seconds that a call which runs is given when a scheduler is closed because of an error.
_GRACE_S: Final = 1.0


class Scheduler:
    """Runs tasks on the devices that there are, and falls back in the open. Thread-safe; a context manager.

    ::

        with Scheduler() as s:
            db = s.load(database)
            future = s.submit("mine", queries, db, k=10)
            print(future.result().answered_by)

    Leaving the ``with`` block waits for what was submitted; leaving it by an exception cancels what waits.

    Parameters
    ----------
    backends : mapping of str to Backend, optional
        By name; the installed ones (entry points) when left out.
    operators : mapping of str to Operator, optional
        By name; those of `ninefold.spec.operators` when left out.
    costs : Path or None, optional
        Where measured times are kept between runs; `costs_file` when left out, nowhere for None.
    queue_size : int
        Most tasks that are under way; `submit` waits for room beyond that.
    check_every : int
        One answer of so many of a device is spot-checked, besides its trials; 1 checks all.
    retries : int
        How often a strict task is tried again on its device, and any task on the CPU when nothing else is left.
    refresh_s : float or None
        How often devices are looked for again while tasks come; None for never.
    failures, cool_s : int, float
        Of circuit breakers; see `Breaker`.
    timeline : bool
        Whether events are kept for `write_timeline`.
    seed : int
        Chooses the rows of spot checks.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend] | None = None,
        operators: Mapping[str, Operator] | None = None,
        costs: Path | str | None = "",
        queue_size: int = 4096,
        check_every: int = 16,
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
            ("retries", retries, 0),
        ):
            if value < low:
                raise InputError(f"{name} must be at least {low}, not {value}")
        self._operators = OPERATORS if operators is None else operators
        self._clock = clock
        self._lock = threading.Lock()
        self._room = Room(self._lock, queue_size)
        self._costs = Costs(costs_file() if costs == "" else Path(costs) if costs else None)
        self._seen = Seen(timeline)
        breaker = partial(Breaker, clock, failures=failures, cool_s=cool_s)
        self._flow = Flow(
            backends=backends,
            lock=self._lock,
            clock=clock,
            room=self._room,
            costs=self._costs,
            seen=self._seen,
            breaker=breaker,
            generator=np.random.default_rng(seed),
            check_every=check_every,
            retries=retries,
            refresh_s=refresh_s,
        )
        self._fleet = self._flow.fleet
        self._seen.add(self._fleet.gauges)
        self._seen.add(energy)

    # Tasks.

    def submit(self, operator: str, *arguments: Any, **keywords: Any) -> Future:
        """Send a task on its way; waits while `queue_size` tasks are.

        Parameters
        ----------
        operator : str
            Name of the operator.
        *arguments : array, Database, DatabaseHandle or StateHandle
            In the order of the operator's signature.
        **keywords
            Further arguments and options of the operator, and ``device``, ``strict``, ``prefer``, ``priority``,
            ``deadline_s`` and ``timeout_s`` as in `Task`.

        Returns
        -------
        Future
            Of a `Result`; ``result()`` raises `DeviceError`, `UnsupportedError` or `UnavailableError` where no device
            answered (or the one that is asked for strictly did not), and `DeadlineError` when the time is up.

        Raises
        ------
        InputError
            For an unknown operator or backend, and for arguments that the operator refuses.
        """
        return self._send(task_of(signature_of(operator, self._operators), arguments, keywords), waited_for=False)

    def run(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task to its end; see `submit`."""
        return self.run_task(task_of(signature_of(operator, self._operators), arguments, keywords))

    async def run_async(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task to its end without blocking the event loop, not even for room in the queue; see `submit`."""
        task = self.task(operator, *arguments, **keywords)
        pending = self._prepare(task)
        while (turn := self._room.enter_or_queue(pending)) is not None:
            await turn
        self._flow.start(pending)
        return await pending.future

    def task(self, operator: str, *arguments: Any, **keywords: Any) -> Task:
        """Return the `Task` that `submit` sends for these arguments."""
        return task_of(signature_of(operator, self._operators), arguments, keywords)

    def submit_task(self, task: Task) -> Future:
        """Send a task on its way; see `submit`."""
        return self._send(task, waited_for=False)

    def run_task(self, task: Task) -> Result:
        """Run a task to its end; see `submit`. Not for done-callbacks, which may not wait.

        Where the device is idle and is never given up, as the CPU is not, the call runs on this thread.
        """
        if in_callback():
            raise InputError("a done-callback may not wait for a task: call submit instead of run")
        future = self._send(task, waited_for=True)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # nobody waits any more: after an interrupt it need not be started
            raise

    def _send(self, task: Task, *, waited_for: bool) -> Future:
        pending = self._prepare(task)
        pending.waited_for = waited_for
        # In a callback, waiting would keep the thread that makes room; the task that has ended has left its place.
        self._room.enter(pending, wait=not in_callback())
        self._flow.start(pending)
        return pending.future

    def check_task(self, task: Task) -> None:
        """Raise at once what `submit_task` would raise, and what a strict task ends with whose device is not there."""
        pending = self._prepare(task)
        if task.strict and pending.absent is not None:
            raise pending.absent

    def explain(self, operator: str, *arguments: Any, **keywords: Any) -> Choice:
        """Return what would be chosen for a task now, and between which devices, without running it."""
        task = self.task(operator, *arguments, **keywords)
        pending = self._prepare(task)
        call = around.before(pending.call)
        if isinstance(call, Answer):
            return Choice(None, "there is nothing to compute")
        self._fleet.survey()
        job = Job(call, pending)
        with self._lock:
            if pending.named is not None and not refusal(pending.named, call):
                return Choice(pending.named, "asked for by name")
            return self._flow.placement.choose(job)

    # Residents and devices.

    @overload
    def load(self, resident: Database) -> DatabaseHandle: ...

    @overload
    def load(self, resident: State) -> StateHandle: ...

    def load(self, resident: Database | State) -> DatabaseHandle | StateHandle:
        """Hand over a database or a state, to be used by the handle that comes back.

        A database is loaded on a device when a task first uses it there, and stays until it is evicted, unloaded or the
        scheduler is closed. A state is the scheduler's from now on: steps run one after the other, each from the
        version that the one before committed.

        Returns
        -------
        DatabaseHandle or StateHandle

        Raises
        ------
        InputError
            For anything else, and for a state whose id is held already.
        """
        if isinstance(resident, Database):
            return DatabaseHandle(resident)
        if not isinstance(resident, State):
            raise InputError(f"a resident must be a Database or a State, not {type(resident).__name__}")
        return self._flow.states.hold(resident)

    def unload(self, handle: DatabaseHandle | StateHandle) -> None:
        """Drop a resident from every device, once what runs there has ended; a state is not held any more."""
        if isinstance(handle, StateHandle):
            self._flow.states.release(handle)
        key = handle.database.digest if isinstance(handle, DatabaseHandle) else handle.state.id
        with self._lock:
            for worker in self._fleet.workers.values():
                worker.drop(key)

    def devices(self) -> list[DeviceStatus]:
        """Return every device that was found, or is missing, with its state, its queue and what is resident on it."""
        self._fleet.survey()
        return self._fleet.status()

    def refresh(self) -> None:
        """Look for devices again: new ones are used, vanished ones are left."""
        self._fleet.survey(again=True)

    # What can be seen.

    @property
    def registry(self) -> CollectorRegistry:
        """The `prometheus_client.CollectorRegistry` of this scheduler."""
        return self._seen.registry

    @property
    def hung(self) -> int:
        """Calls and probes that were given up and have not returned."""
        with self._lock:
            return self._fleet.hung

    def metrics(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return self._seen.metrics()

    def write_timeline(self, path: str | Path) -> None:
        """Write the timeline of a scheduler that was made with ``timeline=True``; see `Seen.write_timeline`."""
        self._seen.write_timeline(Path(path))

    # The end.

    def close(self, *, cancel: bool = False) -> None:
        """Answer what was submitted, close every device, end every thread and save the measured costs.

        In a done-callback it returns at once, and does so on a thread of its own.

        Parameters
        ----------
        cancel : bool
            Cancel what waits, and give what runs one second.
        """
        if in_callback():
            # The thread that runs the callback is one of those to wait for.
            start_thread(partial(self.close, cancel=cancel), "ninefold close", daemon=False)
            return
        inside = self._room.close()
        waiting = inside if cancel else []
        for pending in waiting:
            pending.future.cancel()
        self._room.wait_until_empty(_GRACE_S if cancel else None)
        self._flow.stop(_GRACE_S if cancel else float("inf"))
        self._costs.save()
        for pending in waiting:
            self._flow.settle(pending, DeviceError("the scheduler was closed while the task ran"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def _prepare(self, task: Task) -> Pending:
        """Check a task, and find the device that it names."""
        check_settings(task)
        call = bound(signature_of(task.operator, self._operators), task)
        pending = Pending(task, call, Future(), self._clock())
        if task.device not in (None, AUTO):
            pending.open_choice = False
            pending.named, pending.absent = self._fleet.named(str(task.device))
        return pending


def run(task: Task) -> Result:
    """Run one task on a scheduler made for it; see `Scheduler.submit`."""
    with Scheduler() as scheduler:
        return scheduler.run_task(task)
