"""Execution of calls on a device, on any thread: opening, loading, running, checking and closing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ninefold.host import hooks
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InterruptError, NinefoldError
from ninefold.spec.protocols import Backend, Device, Found
from ninefold.spec.signature import Call

from .costs import Costs
from .guard import is_interrupt, report, text_of
from .residents import Residents, key_of, nbytes_of, residents_of
from .tasks import Job
from .telemetry import Telemetry

__all__ = ["LOADING", "Executor", "Running", "WorkerContext"]

#: Time limits of opening and closing a device in seconds, and slowest accepted transfer in bytes per second.
OPEN_S: Final = 60.0
CLOSE_S: Final = 10.0
SLOWEST_BYTES_S: Final = 20e6
#: Name under which loading times are measured, with the bit length of the resident's bytes as size class.
LOADING: Final = "load"
#: Multiple of its usual time after which a measured call counts as hung.
PATIENCE: Final = 10.0


@dataclass(frozen=True)
class WorkerContext:
    """Objects that a worker shares with its scheduler, and callbacks for its reports.

    Attributes
    ----------
    lock : threading.Lock
        Lock that guards every queue, breaker and cost; held briefly, never during a call.
    clock : callable
        Monotonic clock in seconds.
    costs : Costs
        Measured times.
    telemetry : Telemetry
        Telemetry.
    generator : numpy.random.Generator
        Generator that chooses the rows of spot checks, used under the lock.
    check_every : int
        Check one in this number of answers, in addition to trials; 1 checks all.
    watch : callable
        ``watch(time)``, called under the lock: wake the supervisor at that time or earlier.
    answered : callable
        ``answered(pairs, device) -> bool``, called without the lock with jobs and their answers: returns True if a step
        of a state was committed.
    moved : callable
        ``moved(job, device, error)``, called without the lock: the device did not answer.
    failed : callable
        ``failed(job, error)``, called without the lock: the task of a job ends with an error.
    """

    lock: threading.Lock
    clock: Callable[[], float]
    costs: Costs
    telemetry: Telemetry
    generator: np.random.Generator
    check_every: int
    watch: Callable[[float], None]
    answered: Callable[[list[tuple[Job, Answer]], str], bool]
    moved: Callable[[Job, str, Exception | InterruptError], None]
    failed: Callable[[Job, Exception], None]


@dataclass(eq=False, slots=True)
class Running:
    """Current action of a worker: a call for some jobs, or an errand that loads or drops a resident.

    Attributes
    ----------
    jobs : list of Job
        Jobs answered together.
    call : Call or None
        Call for all jobs; None for an errand.
    errand : tuple or None
        Key of a resident, and the database to load, or None to drop it.
    lent : bool
        True if a caller's thread runs it.
    checked : bool
        True if the answer is spot-checked.
    limit_at, limit_s, doing : float or None, float, str
        Time and delay after which the action counts as hung, and its description.
    given_up : bool
        True if it counted as hung, so that its outcome is dropped.
    device : Device or None
        Device; None until it is open.
    residents : Residents
        Residents of the device.
    seconds : float
        Time of the call in seconds.
    measured : list of (str, float)
        Loading times in seconds, by size class.
    """

    jobs: list[Job] = field(default_factory=list)
    call: Call | None = None
    errand: tuple[str, Database | None] | None = None
    lent: bool = False
    checked: bool = False
    limit_at: float | None = None
    limit_s: float = 0.0
    doing: str = "running"
    given_up: bool = False
    device: Device | None = None
    residents: Residents = field(default_factory=Residents)
    seconds: float = 0.0
    measured: list[tuple[str, float]] = field(default_factory=list)


class Executor:
    """Execution of a worker's actions, without the scheduler's lock and independent of queues and other devices.

    Parameters
    ----------
    found : Found
        The device.
    backend : Backend
        Backend that opens it.
    context : WorkerContext
        Objects and callbacks of the scheduler.
    """

    def __init__(self, found: Found, backend: Backend, context: WorkerContext) -> None:
        self.name = found.device
        self.found = found
        self.backend = backend
        self._context = context

    def outcome(self, running: Running) -> Answer | Exception | InterruptError:
        """Run a call or an errand; return the answer or the error."""
        try:
            return self._execute(running)
        except (NinefoldError, InterruptError) as error:
            return error
        except BaseException as error:  # a backend may raise anything
            if is_interrupt(error):
                raise
            return self.raised(error)

    def raised(self, error: BaseException) -> DeviceError:
        """Return an error outside the contract as a failure of the device."""
        made = DeviceError(f"{self.name} raised {type(error).__name__}: {text_of(error)}")
        made.__cause__ = error
        return made

    def _execute(self, running: Running) -> Answer:
        device = self._opened(running)
        call = running.call
        if call is None:
            self._run_errand(running, device)
            return Answer({})
        wanted = residents_of(call)
        for resident in wanted:
            self._bring(running, device, resident, wanted)
        self.watch(running, "the call", float("inf") if running.lent else self._patience(running))
        started = time.perf_counter()
        answer = device.run(call)
        running.seconds = time.perf_counter() - started
        if not isinstance(answer, Answer):
            raise DeviceError(f"{self.name} returned {type(answer).__name__}, not an Answer")
        self._context.telemetry.ran(self.name, call, started, running.seconds, len(running.jobs))
        if call.operator.stateful:
            _check_step(self.name, call, answer)
        if running.checked and self.found.computes:
            with self._context.lock:
                generator = self._context.generator.spawn(1)[0]
            if flaw := hooks.check(call, answer, generator):
                raise DeviceError(f"{self.name} gave a wrong answer: {flaw}")
        return answer

    def _opened(self, running: Running) -> Device:
        if running.device is None:
            self.watch(running, "opening it", OPEN_S)
            started = time.perf_counter()
            running.device = self.backend.open(self.name.partition(":")[2])
            self._context.telemetry.prepared(self.name, "open", started)
        return running.device

    def _bring(
        self, running: Running, device: Device, resident: Database | State, together: Sequence[Database | State]
    ) -> None:
        """Load a resident unless the device has it, and measure the time."""
        there, size = running.residents.holds(resident), nbytes_of(resident)
        if not there:
            self.watch(running, f"loading {size:,} bytes", self._patience(running) + size / SLOWEST_BYTES_S)
        started = time.perf_counter()
        running.residents.bring(device, resident, [key_of(other) for other in together])
        if not there:
            running.measured.append((f"{LOADING}{size.bit_length()}", time.perf_counter() - started))
            self._context.telemetry.prepared(self.name, f"load {size:,} bytes", started)

    def _run_errand(self, running: Running, device: Device) -> None:
        if running.errand is None:
            return
        key, database = running.errand
        if database is not None:
            self._bring(running, device, database, [database])
        else:
            self.watch(running, "unloading", self._patience(running))
            running.residents.drop(device, key)

    def _patience(self, running: Running) -> float:
        """Return the time limit of the call in seconds."""
        job = running.jobs[0] if running.jobs else None
        # The task's limit applies only to its first device: the last resort must not fail because of it.
        if job is not None and job.pending.task.timeout_s is not None and not job.moving:
            return job.pending.task.timeout_s
        if self.found.timeout_s is None:
            return float("inf")
        # Joined jobs take only a little longer than one of them, since small calls are mostly overhead.
        usual = self._context.costs.expected_s(self.name, job.size) if job is not None else None
        return max(self.found.timeout_s, PATIENCE * (usual or 0.0))

    def watch(self, running: Running, doing: str, limit_s: float) -> None:
        """Start an action with a time limit; raise `DeviceError` if the worker's call was given up in the meantime."""
        limited = not running.lent and limit_s != float("inf")
        # Without a limit before or now the lock is not needed, which saves time for small tasks.
        with self._context.lock if limited or running.limit_at is not None else contextlib.nullcontext():
            if running.given_up:
                raise DeviceError(f"{self.name}: {running.doing} was given up")
            running.doing, running.limit_s, running.limit_at = doing, limit_s, None
            if limited:
                running.limit_at = self._context.clock() + limit_s
                self._context.watch(running.limit_at)

    def forget_states(self, running: Running) -> None:
        """Drop the states of a call without a valid answer, since the device may have changed them."""
        for resident in residents_of(running.call) if running.call else ():
            if isinstance(resident, State) and running.device is not None:
                running.residents.forget(resident.id)
                try:
                    running.device.unload(resident.id)
                except BaseException as error:  # the device has already failed; the next load replaces the state
                    if is_interrupt(error):
                        raise

    def end(self, running: Running) -> None:
        """Close the device, if it is open, within a time limit."""
        if running.device is not None:
            self.watch(running, "closing it", CLOSE_S)
            self.close(running.device)

    def close(self, device: Device | None) -> None:
        """Close a device, if it was open."""
        if device is None:
            return
        try:
            device.close()
        except BaseException as error:  # nothing depends on the device any more
            if is_interrupt(error):
                raise
            report("closing a device failed", device=self.name, reason=text_of(error))


def _check_step(device: str, call: Call, answer: Answer) -> None:
    (state,) = (resident for resident in residents_of(call) if isinstance(resident, State))
    made = answer.state
    if not isinstance(made, State) or (made.id, made.version) != (state.id, state.version + 1):
        got = f"version {made.version} of {made.id}" if isinstance(made, State) else "no state"
        raise DeviceError(f"{device} returned {got}, not version {state.version + 1} of {state.id}")
