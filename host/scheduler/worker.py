"""Worker of a device: a queue, a thread, and the state of the device."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping

from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import (
    DamagedDataError,
    DeviceError,
    InputError,
    InterruptError,
    LostDeviceError,
    UnavailableError,
    UnsupportedError,
)
from ninefold.spec.protocols import Backend, Device, Found

from .batching import join, share
from .breaker import Breaker
from .execution import Executor, Running, WorkerContext
from .guard import report, start_thread, text_of
from .residents import ResidentTable
from .tasks import Job, Pending, Queue

__all__ = ["Worker"]

#: Longest wait for a thread without a look at its limit, in seconds.
_GLANCE_S = 0.1


class Worker:
    """Worker that runs the jobs of one device on its own thread, which starts with the first job.

    Parameters
    ----------
    found : Found
        The device.
    backend : Backend
        Backend that opens it.
    operators : mapping of str to str or None
        Operator -> None, or the reason that it is not run.
    context : WorkerContext
        Objects and callbacks of the scheduler.
    breaker : Breaker
        Circuit breaker of the device.

    Attributes
    ----------
    found : Found
    unit : str
        Hardware that does the work.
    gone : str
        Reason that the device is no longer available; empty while it is.
    refusals : dict of str to str
        Size class and residents of calls that the device cannot run -> reason.
    """

    def __init__(
        self,
        found: Found,
        backend: Backend,
        operators: Mapping[str, str | None],
        context: WorkerContext,
        breaker: Breaker,
    ) -> None:
        self.name = found.device
        self.see(found)
        self.operators = operators
        self.breaker = breaker
        self.residents = ResidentTable()
        self.refusals: dict[str, str] = {}
        self._context = context
        self._executor = Executor(found, backend, context)
        self._queue = Queue()
        self._ahead: set[str] = set()
        self._running: Running | None = None
        self._wake = threading.Condition(context.lock)
        self._waiting = False
        self._thread: threading.Thread | None = None
        self._device: Device | None = None
        self._answers = 0
        self._stopping = False

    def see(self, found: Found) -> None:
        """Take over the result of a probe."""
        self.found = found
        self.unit = found.unit or found.device
        self._never_hangs = found.timeout_s is None or not found.computes
        self.gone = ""

    @property
    def idle(self) -> bool:
        """True if nothing runs or waits."""
        return self._running is None and not (self._queue.waiting or self._queue.errands or self._stopping)

    @property
    def depth(self) -> int:
        """Number of waiting and running jobs."""
        return len(self._queue) + (len(self._running.jobs) if self._running else 0)

    @property
    def wait_s(self) -> float:
        """Expected time of all waiting and running jobs, in seconds."""
        return self._queue.cost_s + (sum(job.cost_s for job in self._running.jobs) if self._running else 0.0)

    @property
    def opened(self) -> bool:
        """True if the device is open."""
        return self._there is not None

    @property
    def capacity_bytes(self) -> int | None:
        """Memory for residents once the device is open, or None if only the host's memory limits it."""
        device = self._there
        return device.capacity_bytes if device is not None else None

    @property
    def _there(self) -> Device | None:
        """Device, if it is open or the current call has opened it."""
        running = self._running
        return self._device if running is None else running.device

    # Called under the lock.

    def put(self, job: Job) -> None:
        """Queue a job; raise `DeviceError` if no thread can be started for it."""
        # First, so that no job stays in the queue of a worker without a thread.
        self._rouse()
        self._queue.put(job)

    def lend(self, job: Job) -> Running | None:
        """Lend the idle device to the thread that waits for a job; return None if the job should be queued.

        Switching to another thread and back takes longer than a small task. Only a device without a time limit is
        lent, since a thread that runs its own call could not be freed from a hung one.
        """
        closed = self.breaker.state == "closed"
        if not (self._never_hangs and self.idle and closed) or job.pending.task.timeout_s is not None:
            return None
        if not job.pending.begin():
            return None
        self._running = self._call_for([job])
        self._running.lent = True
        return self._running

    def load_ahead(self, database: Database) -> None:
        """Load a database when the queue is empty, once."""
        if database.digest not in self._ahead:
            self._ahead.add(database.digest)
            with contextlib.suppress(DeviceError):  # without a thread, the first use loads it
                self._rouse()
                self._queue.errands[database.digest] = database

    def drop(self, key: str) -> None:
        """Unload a resident after the current call, before any later one."""
        self._ahead.discard(key)
        if self._there is not None or self._running is not None:
            self._rouse()
            self._queue.errands[key] = None

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = start_thread(self._serve, f"ninefold {self.name}")
        if self._waiting:  # this test costs less than an unnecessary notify
            self._wake.notify()

    def drain(self) -> list[Job]:
        """Remove and return all waiting jobs."""
        return self._queue.drain()

    @property
    def limit_at(self) -> float | None:
        """Time at which the current call counts as hung, or None."""
        return self._running.limit_at if self._running else None

    def give_up(self) -> tuple[list[Job], Exception]:
        """Abandon the hung call with its thread, and return its jobs."""
        running = self._running
        if running is None:
            return [], DeviceError(f"{self.name} is idle")
        running.given_up = True
        self._running, self._thread = None, None
        self._lose_device()
        reason = f"{running.doing} did not end within {running.limit_s:g} s"
        self.breaker.hung += 1
        self.breaker.trip(reason)
        self._context.telemetry.breaker(self.name, "open", reason)
        return running.jobs, DeviceError(f"{self.name}: {reason}")

    def _lose_device(self) -> Device | None:
        """Forget the device and its residents, and return it; the next call opens it again."""
        device, self._device = self._device, None
        # A new object: a hung call may return and change the old one.
        self.residents = ResidentTable()
        self._ahead.clear()
        self._queue.errands.clear()
        return device

    def stop(self) -> None:
        """End the thread once its queue is empty."""
        self._stopping = True
        self._queue.errands.clear()
        self._wake.notify()

    # Called without the lock.

    def join(self, patience_s: float = float("inf")) -> None:
        """Wait until the thread has ended, its call has been given up, or the time is up."""
        until = self._context.clock() + patience_s
        while True:
            with self._context.lock:
                thread, limit_at = self._thread, min(until, self.limit_at or float("inf"))
            left = limit_at - self._context.clock()
            if thread is None:
                self._close_unattended()
                return
            if until <= self._context.clock():
                return
            # The supervisor gives up the call at its limit; the margin leaves it time to do so. The thread may begin
            # another call meanwhile, such as closing the device, with a limit of its own.
            thread.join(min(max(left, 0.0) + 0.01, _GLANCE_S))

    def run_lent(self, running: Running) -> None:
        """Run the result of `lend` on the caller's thread, which an interrupt can leave at once."""
        try:
            self._finish(running, self._executor.outcome(running))
        finally:
            # Jobs queued in the meantime woke the worker's thread, which found the device lent.
            if self._running is running or self._queue.waiting or self._queue.errands or self._stopping:
                with self._context.lock:
                    if self._running is running:  # an interrupt
                        self._running, self._device = None, running.device
                    self._wake.notify()
                self._close_unattended()

    def _close_unattended(self) -> None:
        """Close a device at the end that has no thread to close it, since it was only ever lent."""
        if self._stopping and self._thread is None and self._running is None:
            self._retire(lent=True)

    # On the worker's thread.

    def _serve(self) -> None:
        while (running := self._next()) is not None:
            outcome = self._executor.outcome(running)
            try:
                goes_on = self._finish(running, outcome)
            except BaseException as error:  # it concerns one task: later tasks must still be answered
                goes_on = self._recover(running, error)
            if not goes_on:
                return
        if self._retire():
            with self._context.lock:
                self._thread = None

    def _next(self) -> Running | None:
        with self._context.lock:
            while True:
                # Wait while the device is lent.
                while self._running is not None or not (self._queue or self._queue.errands or self._stopping):
                    self._waiting = True
                    self._wake.wait()
                    self._waiting = False
                if (errand := self._queue.take_errand()) is not None:
                    self._running = Running(errand=errand, device=self._device, residents=self.residents)
                elif jobs := self._queue.take():
                    self._running = self._call_for(jobs)
                elif self._stopping:
                    return None
                else:
                    continue
                return self._running

    def _call_for(self, jobs: list[Job]) -> Running:
        call = jobs[0].call
        if len(jobs) > 1:
            try:
                call = join([job.call for job in jobs])
            except (MemoryError, ValueError):  # run them one by one
                for job in jobs[1:]:
                    self._queue.put(job)
                del jobs[1:]
        self._answers += len(jobs)
        trial = (self.breaker.state != "closed" and self.breaker.begin()) or jobs[0].trial
        for job in jobs[1:]:
            trial |= job.trial
        checked = trial or self._answers % self._context.check_every < len(jobs)
        return Running(jobs, call, checked=checked, device=self._device, residents=self.residents)

    def _finish(self, running: Running, outcome: Answer | Exception | InterruptError) -> bool:
        """Update the device's state by the outcome and pass the jobs on; return False if the call had been given up."""
        drained: list[Job] = []
        takes_state = running.call is not None and running.call.operator.state_name
        claimed = self._claim_state(running, outcome) if takes_state else None
        with self._context.lock:
            if running.given_up:
                self.breaker.hung -= 1
            else:
                self._running, self._device = None, running.device
                opened = self._judge(running, outcome)
                drained = self.drain() if opened else []
        if self._context.telemetry.unlogged:
            self._context.telemetry.log_events()
        if running.given_up:
            report("a hung call returned", device=self.name)
            self._executor.close(running.device)
            return False
        if isinstance(outcome, Answer):
            self._context.deliver(self._claim(running, outcome) if claimed is None else claimed)
        else:
            for job in running.jobs:
                self._context.moved(job, self.name, outcome)
        for job in drained:
            self._context.moved(job, self.name, DeviceError(f"{self.name} is {self.breaker.refusal or 'open'}"))
        # A failing device is closed, and reopened after its breaker has cooled down.
        return self._retire() if opened else True

    def _recover(self, running: Running, error: BaseException) -> bool:
        """Pass on jobs after an error in handling their outcome; return False if the call had been given up."""
        report(f"ending a call of {self.name} failed: {text_of(error)}", error, level=logging.ERROR, device=self.name)
        with self._context.lock:
            if self._running is running:
                self._running, self._device = None, running.device
        failure = self._executor.raised(error)
        for job in () if running.given_up else running.jobs:
            try:
                self._context.moved(job, self.name, failure)
            except BaseException as again:
                self._context.failed(job, self._executor.raised(again))
        return not running.given_up

    def _retire(self, *, lent: bool = False) -> bool:
        """Close the device if it is open; return False if closing hung and was given up."""
        with self._context.lock:
            closing = self._running = Running(device=self._lose_device(), lent=lent)
        self._executor.end(closing)
        with self._context.lock:
            if closing.given_up:
                self.breaker.hung -= 1
                return False
            self._running = None
            return True

    def _judge(self, running: Running, outcome: Answer | Exception | InterruptError) -> bool:
        """Record measurements and success or failure; return True if the breaker opened."""
        breaker, telemetry = self.breaker, self._context.telemetry
        for size, seconds in running.measured:
            self._context.costs.record(self.name, size, seconds)
        if isinstance(outcome, Answer):
            if running.jobs:
                # Joined jobs are of (almost) the same class.
                each = running.seconds / len(running.jobs)
                self._context.costs.record(self.name, running.jobs[0].size, each)
            if breaker.succeed():
                telemetry.breaker(self.name, "closed", "its trial succeeded")
            return False
        if isinstance(outcome, InputError | DamagedDataError | UnsupportedError | InterruptError) or (
            isinstance(outcome, UnavailableError) and running.device is not None
        ):
            breaker.abandon_trial()
            return False
        reason, lost = text_of(outcome), isinstance(outcome, LostDeviceError | UnavailableError)
        opened = breaker.trip(reason) if lost else breaker.fail(reason)
        if opened:
            telemetry.breaker(self.name, "open", reason)
        return opened

    def _claim(self, running: Running, answer: Answer) -> list[tuple[Pending, Answer]]:
        """Divide an answer among the jobs; return the tasks that end with their answers."""
        if len(running.jobs) == 1:
            return self._context.claim([(running.jobs[0], answer)], self.name)
        shares, first = [], 0
        for job in running.jobs:
            shares.append((job, share(answer, slice(first, first + job.rows))))
            first += job.rows
        return self._context.claim(shares, self.name)

    def _claim_state(
        self, running: Running, outcome: Answer | Exception | InterruptError
    ) -> list[tuple[Pending, Answer]]:
        """Commit a step, or drop the device's version of the state; return the tasks that end with their answers.

        The device is not free before, since dropping a state is a call of the device, and the next step should find the
        new version there.
        """
        with self._context.lock:
            if running.given_up:
                return []
            running.limit_at = None  # what follows is quick, or has a limit of its own
        if not isinstance(outcome, Answer):
            if not isinstance(outcome, UnsupportedError | InputError):  # then the device has not begun
                self._executor.forget_states(running)
            return []
        claimed = self._claim(running, outcome)
        if claimed and outcome.state is not None:
            self.residents.advance(outcome.state)
        elif outcome.state is not None:
            self._executor.forget_states(running)
        return claimed
