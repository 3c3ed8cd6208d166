"""The scheduler: tasks in, answers out, whatever the devices do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, overload

import numpy as np
from prometheus_client import CollectorRegistry

from ninefold.host import around
from ninefold.spec.data import Answer, Database, Result, State, Task
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend
from ninefold.spec.signature import Call, Operator

from .batches import stack, take
from .breaker import COOL_S, FAILURES, Breaker
from .choice import Choice, refusal, refusal_key
from .costs import Costs, costs_file
from .events import Events
from .fleet import DeviceStatus, Fleet
from .handles import DatabaseHandle, StateHandle
from .intake import bound, check_settings, signature_of, task_of
from .placement import Placement
from .power import energy
from .seen import Seen
from .split import shares
from .states import States
from .supervisor import Supervisor
from .work import AUTO, Future, Job, Pending
from .worker import Worker

__all__ = ["Scheduler", "run"]

#: Who answers where there is nothing to compute.
_HOST: Final = "host"
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
        self._queue_size = queue_size
        self._clock = clock
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._open: set[Pending] = set()
        self._states = States(self._lock, self._start_step)
        self._closing = False
        self._costs = Costs(costs_file() if costs == "" else Path(costs) if costs else None)
        workers: dict[str, Worker] = {}
        self._seen = Seen(timeline)
        self._supervisor = Supervisor(self._lock, clock, workers, self._move, self._settle)
        events = Events(
            lock=self._lock,
            clock=clock,
            costs=self._costs,
            seen=self._seen,
            generator=np.random.default_rng(seed),
            check_every=check_every,
            watch=self._supervisor.watch,
            answered=self._answer,
            moved=self._move,
        )
        self._fleet = Fleet(
            backends, workers, events, lambda: Breaker(clock, failures=failures, cool_s=cool_s), refresh_s
        )
        self._seen.add(self._fleet.gauges)
        self._seen.add(energy)
        self._placement = Placement(self._fleet, self._costs, self._seen, retries)

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
        return self.submit_task(self.task(operator, *arguments, **keywords))

    def run(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task to its end; see `submit`."""
        return self.run_task(self.task(operator, *arguments, **keywords))

    async def run_async(self, operator: str, *arguments: Any, **keywords: Any) -> Result:
        """Run a task to its end without blocking the event loop, not even for room in the queue; see `submit`."""
        task = self.task(operator, *arguments, **keywords)
        pending = self._prepare(task)
        while (room := self._enter_or_queue(pending)) is not None:
            await room
        self._start(pending)
        return await pending.future

    def task(self, operator: str, *arguments: Any, **keywords: Any) -> Task:
        """Return the `Task` that `submit` sends for these arguments."""
        return task_of(signature_of(operator, self._operators), arguments, keywords)

    def submit_task(self, task: Task) -> Future:
        """Send a task on its way; see `submit`."""
        pending = self._prepare(task)
        self._enter(pending)
        self._start(pending)
        return pending.future

    def run_task(self, task: Task) -> Result:
        """Run a task to its end; see `submit`."""
        future = self.submit_task(task)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # nobody waits any more: after an interrupt it need not be started
            raise

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
            return self._placement.choose(job)

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
        return self._states.hold(resident)

    def unload(self, handle: DatabaseHandle | StateHandle) -> None:
        """Drop a resident from every device, once what runs there has ended; a state is not held any more."""
        if isinstance(handle, StateHandle):
            self._states.release(handle)
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

    def write_timeline(self, path: Path) -> None:
        """Write the timeline of a scheduler that was made with ``timeline=True``; see `Seen.write_timeline`."""
        self._seen.write_timeline(path)

    # The end.

    def close(self, *, cancel: bool = False) -> None:
        """Answer what was submitted, close every device, end every thread and save the measured costs.

        Parameters
        ----------
        cancel : bool
            Cancel what waits, and give what runs one second.
        """
        with self._lock:
            self._closing = True
            waiting = list(self._open) if cancel else []
        self._leave([])
        for pending in waiting:
            pending.future.cancel()
        with self._lock:
            self._room.wait_for(lambda: not self._open, _GRACE_S if cancel else None)
            workers = list(self._fleet.workers.values())
            for worker in workers:
                worker.stop()
        for worker in workers:
            worker.join(_GRACE_S if cancel else float("inf"))
        with self._lock:
            for worker in workers:
                worker.give_up()
        self._supervisor.stop()
        self._fleet.join()
        self._costs.save()
        for pending in waiting:
            self._settle(pending, DeviceError("the scheduler was closed while the task ran"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    # A task's way in.

    def _prepare(self, task: Task) -> Pending:
        """Check a task, and find the device that it names."""
        check_settings(task)
        call = bound(signature_of(task.operator, self._operators), task)
        pending = Pending(task, call, Future(), self._clock())
        if task.device not in (None, AUTO):
            pending.named, pending.absent = self._fleet.named(str(task.device))
        return pending

    def _enter(self, pending: Pending) -> None:
        """Take a place among the tasks under way, as soon as there is one."""
        with self._lock:
            while self._full():
                self._room.wait()
            self._admit(pending)

    def _enter_or_queue(self, pending: Pending) -> asyncio.Future[None] | None:
        """Take a place among the tasks under way, or return what to await before trying again."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._full():
                room = loop.create_future()
                self._waiting.append((loop, room))
                return room
            self._admit(pending)
        return None

    def _full(self) -> bool:
        if self._closing:
            raise InputError("the scheduler is closed")
        return len(self._open) >= self._queue_size

    def _admit(self, pending: Pending) -> None:
        self._open.add(pending)
        pending.future.on_cancel = functools.partial(self._leave, [pending])
        if pending.task.deadline_s is not None:
            self._supervisor.expect(pending, pending.submitted_s + pending.task.deadline_s)

    def _leave(self, ended: Sequence[Pending]) -> None:
        """Note that tasks have ended, and wake who waits for their places, or all when there will be none any more."""
        now = self._clock()
        with self._lock:
            for pending in ended:
                pending.settled = True
                self._open.discard(pending)
            if self._closing:
                self._room.notify_all()
                waiters = [*self._waiting]
                self._waiting.clear()
            else:
                self._room.notify(len(ended))
                waiters = [self._waiting.popleft() for _ in ended if self._waiting]
        for loop, room in waiters:
            with contextlib.suppress(RuntimeError):  # its event loop was closed
                loop.call_soon_threadsafe(self._offer, room)
        for pending in ended:
            pending.future.on_cancel = None  # a cycle that only the collector would free
            operator, outcome = pending.call.operator, pending.outcome
            device = pending.answered_by[-1] if pending.answered_by else ""
            self._seen.task(operator.name, device, outcome, now - pending.submitted_s)
            if operator.stateful:
                self._states.ended(pending)

    def _offer(self, room: asyncio.Future[None]) -> None:
        if room.done():
            with self._lock:  # it was cancelled: the next one is woken instead
                waiter = self._waiting.popleft() if self._waiting else None
            if waiter is not None:
                waiter[0].call_soon_threadsafe(self._offer, waiter[1])
        else:
            room.set_result(None)

    def _start(self, pending: Pending) -> None:
        """Send a task to its device, or let it wait for the state that it needs."""
        try:
            if pending.call.operator.stateful:
                self._states.enqueue(pending)
                return
            call = around.before(pending.call)
            if isinstance(call, Answer):
                pending.why = "there is nothing to compute"
                pending.answered_by.append(_HOST)
                pending.settled = True
                self._deliver([(pending, call)])
                return
            if pending.named is None and pending.absent is None:
                self._fleet.survey()
                if self._split(pending, call):
                    return
            elif not pending.task.strict:
                self._fleet.at_least_one()
            self._dispatch(Job(call, pending))
        except Exception as error:
            self._settle(pending, error)

    def _start_step(self, pending: Pending) -> None:
        """Send a step to its device, with the version of the state that was committed last."""
        try:
            pending.call = bound(pending.call.operator, pending.task)
            if pending.named is None and pending.absent is None:
                self._fleet.survey()
            self._dispatch(Job(pending.call, pending))
        except Exception as error:
            self._settle(pending, error)

    def _split(self, pending: Pending, call: Call) -> bool:
        """Split a large call over devices, where that is expected to end earlier; return whether it was."""
        with self._lock:
            parts = shares(call, self._fleet.workers.values(), self._costs, pending.task.prefer)
            if not parts:
                return False
            pending.answers = [None] * len(parts)
            pending.answered_by = [""] * len(parts)
            pending.why = "a batch split by measured speed: " + ", ".join(
                f"{worker.name} {rows.stop - rows.start} rows" for worker, rows, _ in parts
            )
            for number, (worker, rows, cost_s) in enumerate(parts):
                job = Job(take(call, rows), pending, number)
                job.cost_s = cost_s
                worker.put(job)
        return True

    def _dispatch(self, job: Job) -> None:
        """Queue a job on a device, or settle its task with the reason why there is none."""
        pending = job.pending
        if pending.settled:
            return
        with self._lock:
            error = self._placement.place(job, pending)
        if error is not None:
            self._settle(pending, error)

    # Back from a device.

    def _answer(self, pairs: list[tuple[Job, Answer]], worker: Worker) -> bool:
        """Take the answers of one call; return whether it was a step that is committed now."""
        with self._lock:
            claimed = [self._claim(job, worker, answer) for job, answer in pairs]
        final = [(job.pending, answer) for (job, _), answer in zip(pairs, claimed, strict=True) if answer is not None]
        self._deliver(final)
        return bool(final) and pairs[0][0].call.operator.stateful

    def _claim(self, job: Job, worker: Worker, answer: Answer) -> Answer | None:
        """Under the lock: take an answer; return the whole one when this was its last part and nobody was faster."""
        pending = job.pending
        if pending.settled:
            return None
        self._placement.count(job)
        if not pending.answers:
            pending.answered_by.append(worker.name)
        else:
            pending.answers[job.part], pending.answered_by[job.part] = answer, worker.name
            parts = [part for part in pending.answers if part is not None]
            if len(parts) < len(pending.answers):
                return None
            answer = stack(parts)
        if answer.state is not None:
            self._states.commit(answer.state)
        pending.settled = True  # a deadline that passes now comes too late
        return answer

    def _deliver(self, answered: list[tuple[Pending, Answer]]) -> None:
        """Give tasks that were claimed their results."""
        outcomes: list[tuple[Pending, Result | Exception]] = []
        for pending, answer in answered:
            try:
                outcomes.append((pending, pending.result(around.after(pending.call, answer))))
            except Exception as error:
                outcomes.append((pending, error))
        self._give(outcomes)

    def _give(self, outcomes: list[tuple[Pending, Result | Exception]]) -> None:
        """End tasks; what a user sees once the future has its answer is up to date by then."""
        for pending, outcome in outcomes:
            pending.outcome = "answered" if isinstance(outcome, Result) else "failed"
        self._leave([pending for pending, _ in outcomes])
        for pending, outcome in outcomes:
            pending.give(outcome)

    def _move(self, job: Job, worker: Worker, error: Exception) -> None:
        """Send a job on to another device: this one did not answer."""
        pending = job.pending
        if pending.settled:
            return
        if isinstance(error, InputError | DamagedDataError):
            self._settle(pending, error)
            return
        with self._lock:
            if isinstance(error, UnsupportedError):
                worker.refusals[refusal_key(job.call)] = str(error)
            job.tried[worker.name] = job.tried.get(worker.name, 0) + 1
            job.moving = True
            pending.fallbacks.append(f"{worker.name}: {error}")
            pending.errors.append(error)
        self._seen.fallback(pending.task.operator, worker.name, error, pending.task.device or AUTO)
        self._fleet.at_least_one()
        self._dispatch(job)

    def _settle(self, pending: Pending, error: Exception) -> None:
        """End a task with an error, unless it has ended."""
        with self._lock:
            if pending.settled:
                return
            pending.settled = True
        self._give([(pending, error)])


def run(task: Task) -> Result:
    """Run one task on a scheduler made for it; see `Scheduler.submit`."""
    with Scheduler() as scheduler:
        return scheduler.run_task(task)
