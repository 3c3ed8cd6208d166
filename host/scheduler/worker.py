"""One worker a device: a queue, a thread, and what is known of the device."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ninefold.host import around
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import (
    DamagedDataError,
    DeviceError,
    InputError,
    LostDeviceError,
    NinefoldError,
    UnavailableError,
    UnsupportedError,
)
from ninefold.spec.protocols import Backend, Device, Found
from ninefold.spec.signature import Call

from .batches import join, share
from .breaker import Breaker
from .events import Events
from .queue import Queue
from .residents import Residents, key_of, nbytes_of, residents_of
from .work import Job

__all__ = ["CLOSE_S", "LOADING", "OPEN_S", "Worker"]

_LOG = logging.getLogger("ninefold.scheduler")
#: Seconds that opening and closing a device may take, and the slowest transfer of a resident that is no hang.
OPEN_S: Final = 60.0
CLOSE_S: Final = 10.0
SLOWEST_BYTES_S: Final = 20e6
#: The name under which the time to load a resident is measured; classes of it are bit lengths of bytes.
LOADING: Final = "load"
#: A measured call may take so many times its usual time before it counts as hung.
PATIENCE: Final = 10.0


@dataclass(eq=False, slots=True)
class _Running:
    """What a worker is doing: a call for some jobs, or an errand, which loads or drops a resident."""

    jobs: list[Job] = field(default_factory=list)
    call: Call | None = None
    errand: tuple[str, Database | None] | None = None
    lent: bool = False
    checked: bool = False
    limit_at: float | None = None
    limit_s: float = 0.0
    doing: str = "running"
    device: Device | None = None
    residents: Residents = field(default_factory=Residents)
    seconds: float = 0.0
    measured: list[tuple[str, float]] = field(default_factory=list)


class Worker:
    """Runs the jobs of one device on a thread of its own, which starts with the first job.

    Parameters
    ----------
    found : Found
        The device.
    backend : Backend
        Opens it.
    operators : mapping of str to str or None
        Operator -> None, or why it is not run.
    events : Events
        What is shared with the scheduler.
    breaker : Breaker
        Of this device.

    Attributes
    ----------
    gone : str
        Why the device is not there any more; empty while it is.
    refusals : dict of str to str
        Size class and residents of calls that the device cannot run -> why.
    """

    def __init__(
        self, found: Found, backend: Backend, operators: Mapping[str, str | None], events: Events, breaker: Breaker
    ) -> None:
        self.name = found.device
        self.found = found
        self.backend = backend
        self.operators = operators
        self.breaker = breaker
        self.residents = Residents()
        self.gone = ""
        self.refusals: dict[str, str] = {}
        self._events = events
        self._queue = Queue()
        self._ahead: set[str] = set()
        self._running: _Running | None = None
        self._wake = threading.Condition(events.lock)
        self._thread: threading.Thread | None = None
        self._device: Device | None = None
        self._answers = 0
        self._stopping = False

    @property
    def unit(self) -> str:
        """The hardware that does the work."""
        return self.found.unit or self.name

    @property
    def depth(self) -> int:
        """How many jobs wait or run."""
        return len(self._queue) + (len(self._running.jobs) if self._running else 0)

    @property
    def wait_s(self) -> float:
        """Expected time of everything that waits or runs."""
        return self._queue.cost_s + (sum(job.cost_s for job in self._running.jobs) if self._running else 0.0)

    @property
    def opened(self) -> bool:
        """Whether the device is open."""
        return self._device is not None

    @property
    def capacity_bytes(self) -> int | None:
        """Memory for residents once the device is open, or None where the host's memory bounds it."""
        device = self._device
        return device.capacity_bytes if device is not None else None

    # Under the lock.

    def put(self, job: Job) -> None:
        """Queue a job."""
        self._queue.put(job)
        self._rouse()

    def lend(self, job: Job) -> _Running | None:
        """Lend the idle device to the thread that waits for a job; None where the job is better queued.

        Going over to another thread and back takes longer than a small task. Only a device that is never given up is
        lent: a thread that waits for its own call could not be freed from one that hangs.
        """
        never_hangs = self.found.timeout_s is None or not self.found.computes
        idle = self._running is None and not self._queue and not self._queue.errands and not self._stopping
        closed = self.breaker.state == "closed"
        if not (never_hangs and idle and closed) or self._device is None or job.pending.task.timeout_s is not None:
            return None
        if not job.pending.begin():
            return None
        self._running = self._call_for([job])
        self._running.lent = True
        return self._running

    def load_ahead(self, database: Database) -> None:
        """Load a database while the queue is empty, once."""
        if database.digest not in self._ahead:
            self._ahead.add(database.digest)
            self._queue.errands[database.digest] = database
            self._rouse()

    def drop(self, key: str) -> None:
        """Unload a resident once what runs has ended."""
        self._ahead.discard(key)
        if self._device is not None:
            self._queue.errands[key] = None
            self._rouse()

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"ninefold {self.name}", daemon=True)
            self._thread.start()
        self._wake.notify()

    def drain(self) -> list[Job]:
        """Take back every job that waits."""
        return self._queue.drain()

    @property
    def limit_at(self) -> float | None:
        """When what runs counts as hung, or None."""
        return self._running.limit_at if self._running else None

    def give_up(self) -> tuple[list[Job], Exception]:
        """Leave the call that hangs to its thread, and take back its jobs."""
        running = self._running
        if running is None:
            return [], DeviceError(f"{self.name} is idle")
        self._running, self._thread = None, None
        self._lose_device()
        reason = f"{running.doing} did not end within {running.limit_s:g} s"
        self.breaker.hung += 1
        self.breaker.trip(reason)
        self._events.seen.breaker(self.name, "open", reason)
        return running.jobs, DeviceError(f"{self.name}: {reason}")

    def _lose_device(self) -> Device | None:
        """Forget the device and all that was on it, and return it; the next call opens it anew."""
        device, self._device = self._device, None
        # A new list: a call that hangs may come back and add to the old one.
        self.residents = Residents()
        self._ahead.clear()
        self._queue.errands.clear()
        return device

    def stop(self) -> None:
        """Let the thread end once its queue is empty."""
        self._stopping = True
        self._queue.errands.clear()
        self._wake.notify()

    # Without the lock.

    def join(self, patience_s: float = float("inf")) -> None:
        """Wait until the thread has ended, its call was given up, or the time is up."""
        until = self._events.clock() + patience_s
        while True:
            with self._events.lock:
                thread, limit_at = self._thread, min(until, self.limit_at or float("inf"))
            left = limit_at - self._events.clock()
            if thread is None or until <= self._events.clock():
                return
            # The supervisor gives the call up when its time has come, and is given a moment for that.
            thread.join(None if left == float("inf") else max(left, 0.0) + 0.01)

    def run_lent(self, running: _Running) -> None:
        """Run what `lend` gave, on the thread of the caller, which an interrupt leaves at once."""
        try:
            self._finish(running, self._outcome(running))
        finally:
            # What was queued meanwhile has woken the worker's thread, which found the device lent.
            if self._running is running or self._queue or self._queue.errands or self._stopping:
                with self._events.lock:
                    if self._running is running:
                        self._running = None
                    self._wake.notify()

    # On the worker's thread.

    def _serve(self) -> None:
        while (running := self._next()) is not None:
            try:
                outcome = self._outcome(running)
            except BaseException as error:  # an exit takes no task with it
                outcome = self._raised(error)
            if not self._finish(running, outcome):
                return
        if self._retire():
            with self._events.lock:
                self._thread = None

    def _outcome(self, running: _Running) -> Answer | Exception:
        try:
            return self._execute(running)
        except NinefoldError as error:
            return error
        except Exception as error:  # a backend may raise anything
            return self._raised(error)

    def _raised(self, error: BaseException) -> DeviceError:
        made = DeviceError(f"{self.name} raised {type(error).__name__}: {error}")
        made.__cause__ = error
        return made

    def _next(self) -> _Running | None:
        with self._events.lock:
            while True:
                # Not while the device is lent.
                while self._running is not None or not (self._queue or self._queue.errands or self._stopping):
                    self._wake.wait()
                if jobs := self._queue.take():
                    self._running = self._call_for(jobs)
                elif self._queue.errands:
                    errand = self._queue.errands.popitem()
                    self._running = _Running(errand=errand, device=self._device, residents=self.residents)
                elif self._stopping:
                    return None
                else:
                    continue
                return self._running

    def _call_for(self, jobs: list[Job]) -> _Running:
        self._answers += len(jobs)
        trial = self.breaker.begin() or any(job.trial for job in jobs)
        checked = trial or self._answers % self._events.check_every < len(jobs)
        call = jobs[0].call if len(jobs) == 1 else join([job.call for job in jobs])
        return _Running(jobs, call, checked=checked, device=self._device, residents=self.residents)

    def _execute(self, running: _Running) -> Answer:
        device = self._opened(running)
        call = running.call
        if call is None:
            self._run_errand(running, device)
            return Answer({})
        wanted = residents_of(call)
        for resident in wanted:
            self._bring(running, device, resident, wanted)
        self._watch(running, "the call", float("inf") if running.lent else self._patience(running))
        started = time.perf_counter()
        answer = device.run(call)
        running.seconds = time.perf_counter() - started
        self._events.seen.ran(self.name, call, started, running.seconds, len(running.jobs))
        if call.operator.stateful:
            _check_step(self.name, call, answer)
        if running.checked and self.found.computes:
            with self._events.lock:
                generator = self._events.generator.spawn(1)[0]
            if flaw := around.flaw(call, answer, generator):
                raise DeviceError(f"{self.name} answered wrongly: {flaw}")
        return answer

    def _opened(self, running: _Running) -> Device:
        if running.device is None:
            self._watch(running, "opening it", OPEN_S)
            started = time.perf_counter()
            running.device = self.backend.open(self.name.partition(":")[2])
            self._events.seen.prepared(self.name, "open", started)
            with self._events.lock:
                if self._running is running:
                    self._device = running.device
        return running.device

    def _bring(
        self, running: _Running, device: Device, resident: Database | State, together: Sequence[Database | State]
    ) -> None:
        """Load a resident unless it is there, and measure how long that takes."""
        there, size = running.residents.holds(resident), nbytes_of(resident)
        if not there:
            self._watch(running, f"loading {size:,} bytes", self._patience(running) + size / SLOWEST_BYTES_S)
        started = time.perf_counter()
        running.residents.bring(device, resident, [key_of(other) for other in together])
        if not there:
            running.measured.append((f"{LOADING}{size.bit_length()}", time.perf_counter() - started))
            self._events.seen.prepared(self.name, f"load {size:,} bytes", started)

    def _run_errand(self, running: _Running, device: Device) -> None:
        if running.errand is None:
            return
        key, database = running.errand
        if database is not None:
            self._bring(running, device, database, [database])
        else:
            self._watch(running, "unloading", self._patience(running))
            running.residents.drop(device, key)

    def _patience(self, running: _Running) -> float:
        """Return how long the call may take."""
        job = running.jobs[0] if running.jobs else None
        # What the task says is meant for the device that it went to first: the last resort must not fail by it.
        if job is not None and job.pending.task.timeout_s is not None and not job.moving:
            return job.pending.task.timeout_s
        if self.found.timeout_s is None:
            return float("inf")
        # What is joined takes longer than one of its parts, but not so much: small calls are mostly overhead.
        usual = self._events.costs.expected_s(self.name, job.size) if job is not None else None
        return max(self.found.timeout_s, PATIENCE * (usual or 0.0))

    def _watch(self, running: _Running, doing: str, limit_s: float) -> None:
        """Say what comes next and how long it may take; raise `DeviceError` when it was given up meanwhile."""
        # One lock for a small task less: what cannot be given up is not watched either.
        watched = not running.lent and limit_s != float("inf")
        with self._events.lock if watched else contextlib.nullcontext():
            if self._running is not running:
                raise DeviceError(f"{self.name}: {running.doing} was given up")
            running.doing, running.limit_s, running.limit_at = doing, limit_s, None
            if watched:
                running.limit_at = self._events.clock() + limit_s
                self._events.watch(running.limit_at)

    def _finish(self, running: _Running, outcome: Answer | Exception) -> bool:
        """Judge the device by the outcome and hand the jobs on; return False when it had been given up."""
        drained: list[Job] = []
        with self._events.lock:
            if given_up := self._running is not running:
                self.breaker.hung -= 1
            else:
                self._running = None
                opened = self._judge(running, outcome)
                drained = self.drain() if opened else []
        self._events.seen.say()
        if given_up:
            _LOG.warning("a hung call returned", extra={"device": self.name})
            self._close(running.device)
            return False
        if not opened and not isinstance(outcome, Answer):
            self._forget_states(running)
        if isinstance(outcome, Answer):
            self._hand_out(running, outcome)
        else:
            for job in running.jobs:
                self._events.moved(job, self, outcome)
        for job in drained:
            self._events.moved(job, self, DeviceError(f"{self.name} is {self.breaker.refusal or 'open'}"))
        # What is reopened after it cooled down starts anew.
        return self._retire() if opened else True

    def _retire(self) -> bool:
        """Close the device, if it is open; return False when that hung and was given up."""
        with self._events.lock:
            closing = self._running = _Running(device=self._lose_device())
        if closing.device is not None:
            self._watch(closing, "closing it", CLOSE_S)
            self._close(closing.device)
        with self._events.lock:
            if self._running is not closing:
                self.breaker.hung -= 1
                return False
            self._running = None
            return True

    def _judge(self, running: _Running, outcome: Answer | Exception) -> bool:
        """Note what the outcome says about the device; return whether it is to be left alone from now on."""
        breaker, seen = self.breaker, self._events.seen
        for size, seconds in running.measured:
            self._events.costs.record(self.name, size, seconds)
        if isinstance(outcome, Answer):
            if running.jobs:
                # Joined jobs are of one class, or nearly.
                each = running.seconds / len(running.jobs)
                self._events.costs.record(self.name, running.jobs[0].size, each)
            if breaker.succeed():
                seen.breaker(self.name, "closed", "its trial succeeded")
            return False
        if isinstance(outcome, InputError | DamagedDataError | UnsupportedError) or (
            isinstance(outcome, UnavailableError) and running.device is not None
        ):
            breaker.abandon_trial()
            return False
        lost = isinstance(outcome, LostDeviceError | UnavailableError)
        opened = breaker.trip(str(outcome)) if lost else breaker.fail(str(outcome))
        if opened:
            seen.breaker(self.name, "open", str(outcome))
        return opened

    def _hand_out(self, running: _Running, answer: Answer) -> None:
        if len(running.jobs) == 1:
            committed = self._events.answered([(running.jobs[0], answer)], self)
            if answer.state is not None and committed:
                self.residents.advance(answer.state)
            elif answer.state is not None:
                self._forget_states(running)
            return
        shares, first = [], 0
        for job in running.jobs:
            last = first + job.rows
            shares.append((job, share(answer, slice(first, last))))
            first = last
        self._events.answered(shares, self)

    def _forget_states(self, running: _Running) -> None:
        """Drop the states of a call that counts for nothing: the device may have changed them."""
        for resident in residents_of(running.call) if running.call else ():
            if isinstance(resident, State) and running.device is not None:
                self.residents.forget(resident.id)
                with contextlib.suppress(Exception):  # it failed already; the next load replaces what is there
                    running.device.unload(resident.id)

    def _close(self, device: Device | None) -> None:
        if device is None:
            return
        try:
            device.close()
        except Exception as error:  # nothing depends on it any more
            _LOG.warning("closing a device failed", extra={"device": self.name, "reason": str(error)})


def _check_step(device: str, call: Call, answer: Answer) -> None:
    (state,) = (resident for resident in residents_of(call) if isinstance(resident, State))
    made = answer.state
    if made is None or (made.id, made.version) != (state.id, state.version + 1):
        got = f"version {made.version} of {made.id}" if made else "no state"
        raise DeviceError(f"{device} answered with {got}, not version {state.version + 1} of {state.id}")
