"""Execution of calls on a device, on any thread: opening, loading, running, checking and closing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from ninefold.host import hooks
from ninefold.spec.data import Answer, Database, Kept, State
from ninefold.spec.errors import DeviceError, InputError, InterruptError, NinefoldError
from ninefold.spec.protocols import Backend, Device, Found
from ninefold.spec.signature import Call, Operator, Tensor

from .costs import Costs
from .guard import is_interrupt, report, text_of
from .residents import COPY, LoggedState, ResidentTable, fetch, kept_after, key_of, residents_of, with_state
from .tasks import Job, Pending
from .telemetry import Telemetry

__all__ = ["LOADING", "Executor", "Running", "WorkerContext"]

#: Time limits of opening a device that has a limit and of closing one, in seconds, and slowest accepted transfer in
#: bytes per second.
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
    copy_every : int
        Steps of a state that its device keeps after which the host copies it.
    watch : callable
        ``watch(time)``, called under the lock: wake the supervisor at that time or earlier.
    claim : callable
        ``claim(pairs, device) -> list``, called without the lock with jobs and their answers: commits a step of a
        state, and returns the tasks that this ends, with their answers.
    deliver : callable
        ``deliver(claimed)``, called without the lock with the result of `claim`: gives the tasks their results.
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
    copy_every: int
    watch: Callable[[float], None]
    claim: Callable[[list[tuple[Job, Answer]], str], list[tuple[Pending, Answer]]]
    deliver: Callable[[list[tuple[Pending, Answer]]], None]
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
    residents : ResidentTable
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
    residents: ResidentTable = field(default_factory=ResidentTable)
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
        device = running.device or self._opened(running)
        call = running.call
        if call is None:
            self._run_errand(running, device)
            return Answer({})
        for name in call.operator.residents:
            if not running.residents.use(call.arguments[name]):
                call = self._ready(running, device, call, frozenset())
                break
        if call.operator is COPY:
            return Answer({}, state=self._copy(running, device, call.state()))
        spot_check = running.checked and self.found.computes
        # The spot check of a step needs the content of both versions.
        copied = spot_check and call.operator.stateful and hooks.defines("check", call.operator)
        if copied:
            call = with_state(call, self._copy(running, device, call.state()))
        answer = self._run(running, device, call)
        if isinstance(answer.state, Kept):
            following = kept_after(call.state(), call)
            if copied or len(following.log) >= self._context.copy_every:
                answer = replace(answer, state=self._copy(running, device, following))
        if spot_check:
            with self._context.lock:
                generator = self._context.generator.spawn(1)[0]
            if flaw := hooks.check(call, answer, generator):
                raise DeviceError(f"{self.name} gave a wrong answer: {flaw}")
        return answer

    def _ready(self, running: Running, device: Device, call: Call, keep: frozenset[str]) -> Call:
        """Load the residents of a call, and rebuild a state that only a log leads to.

        Returns
        -------
        Call
            The call, with the content of a rebuilt state unless the device keeps it.
        """
        keep |= {key_of(resident) for resident in residents_of(call)}
        for resident in residents_of(call):
            if running.residents.use(resident):
                continue
            if isinstance(resident, LoggedState):
                call = with_state(call, self._rebuild(running, device, resident, keep))
            else:
                self._load(running, device, resident, keep)
        return call

    def _rebuild(self, running: Running, device: Device, state: LoggedState, keep: frozenset[str]) -> State:
        """Repeat the steps after the last copy of a state, and return its version on the device."""
        current = state.copy
        for step in state.log:
            call = self._ready(running, device, with_state(step, current), keep)
            try:
                answer = self._run(running, device, call, f"repeating a step of {state.id}")
            except InputError as error:  # not the caller's: another device took these arguments
                raise DeviceError(f"{self.name} refuses an earlier step of {state.id}: {error}") from error
            current = answer.state if isinstance(answer.state, State) else kept_after(current, step)
            running.residents.advance(current)
        return current

    def _run(self, running: Running, device: Device, call: Call, doing: str = "the call") -> Answer:
        """Run a call whose residents are on the device, and check what a step makes of its state."""
        self.watch(running, doing, float("inf") if running.lent else self._patience(running))
        started = time.perf_counter()
        answer = device.run(call)
        running.seconds = time.perf_counter() - started
        if not isinstance(answer, Answer):
            raise DeviceError(f"{self.name} returned {type(answer).__name__}, not an Answer")
        if self._context.telemetry.timeline:
            self._context.telemetry.ran(self.name, call, started, running.seconds, len(running.jobs))
        if (flaw := self._misshapen(call, answer)) or (call.operator.state_name and (flaw := self._flaw(call, answer))):
            raise DeviceError(f"{self.name} gave a wrong answer: {flaw}")
        return answer

    @staticmethod
    def _misshapen(call: Call, answer: Answer) -> str:
        """Return what is wrong with the names, shapes and dtypes of an answer, or an empty string."""
        # Checked for every answer, so in place and against a shape that is worked out once.
        expected = _structure(call.operator, tuple(call.sizes.items()), tuple(call.options.items()))
        values = answer.values
        if expected is not None and len(values) == len(expected):
            for name, shape, dtypes in expected:
                value = values.get(name)
                if getattr(value, "shape", None) != shape or getattr(value, "dtype", None) not in dtypes:
                    break
            else:
                return ""
        return call.operator.answer_flaw(call, values, contents=False)

    def _flaw(self, call: Call, answer: Answer) -> str:
        """Return what is wrong with the answer to a step or read by its signature, or an empty string."""
        operator, before, after = call.operator, call.state(), answer.state
        if not operator.stateful:
            return f"it returned a state, but {operator.name} only reads one" if after is not None else ""
        if isinstance(after, State):
            flaw = operator.layout_of(operator.state_name).flaw(before, after)
        elif isinstance(after, Kept) and (after.id, after.version) == (before.id, before.version + 1):
            flaw = ""
        else:
            got = f"version {after.version} of {after.id}" if isinstance(after, Kept) else "no state"
            flaw = f"it returned {got}, not version {before.version + 1} of {before.id}"
        return flaw or operator.answer_flaw(call, answer.values, contents=self.found.computes)

    def _copy(self, running: Running, device: Device, state: State) -> State:
        """Return a state with its content, copied from the device if necessary."""
        if not isinstance(state, LoggedState):
            return state
        self.watch(running, f"copying {state.nbytes:,} bytes", self._transfer_s(running, state.nbytes))
        return fetch(device, state)

    def _opened(self, running: Running) -> Device:
        # A device without a time limit may compile for minutes when it opens: a kernel, the model of a board.
        self.watch(running, "opening it", float("inf") if self.found.timeout_s is None else OPEN_S)
        started = time.perf_counter()
        device = running.device = self.backend.open(self.name.partition(":")[2])
        self._context.telemetry.prepared(self.name, "open", started)
        return device

    def _load(self, running: Running, device: Device, resident: Database | State, keep: frozenset[str]) -> None:
        """Load a resident and measure the time."""
        size = resident.nbytes
        self.watch(running, f"loading {size:,} bytes", self._transfer_s(running, size))
        started = time.perf_counter()
        running.residents.bring(device, resident, keep)
        running.measured.append((f"{LOADING}{size.bit_length()}", time.perf_counter() - started))
        self._context.telemetry.prepared(self.name, f"load {size:,} bytes", started)

    def _run_errand(self, running: Running, device: Device) -> None:
        if running.errand is None:
            return
        key, database = running.errand
        if database is not None:
            if not running.residents.use(database):
                self._load(running, device, database, frozenset((key,)))
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

    def _transfer_s(self, running: Running, nbytes: int) -> float:
        """Return the time limit of a transfer in seconds."""
        return self._patience(running) + nbytes / SLOWEST_BYTES_S

    def watch(self, running: Running, doing: str, limit_s: float) -> None:
        """Start an action with a time limit; raise `DeviceError` if the worker's call was given up in the meantime."""
        limited = not running.lent and limit_s != float("inf")
        if not limited and running.limit_at is None and not running.given_up:
            # Without a limit before or now no other thread looks, and the lock would cost a small task time.
            running.doing = doing
            return
        with self._context.lock:
            if running.given_up:
                raise DeviceError(f"{self.name}: {running.doing} was given up")
            running.doing, running.limit_s, running.limit_at = doing, limit_s, None
            if limited:
                running.limit_at = self._context.clock() + limit_s
                self._context.watch(running.limit_at)

    def forget_states(self, running: Running) -> None:
        """Drop the state of a call without a valid answer, since the device may have changed it."""
        if running.call is None or not running.call.operator.state_name or running.device is None:
            return
        key = running.call.state().id
        running.residents.forget(key)
        try:
            self.watch(running, "unloading", self._patience(running))
            running.device.unload(key)
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


@lru_cache(maxsize=4096)
def _structure(
    operator: Operator, sizes: tuple[tuple[str, int], ...], options: tuple[tuple[str, Any], ...]
) -> tuple[tuple[str, tuple[int, ...], frozenset[Any]], ...] | None:
    """Return name, shape and dtypes of each result; None if one is no plain tensor of known shape."""
    call = Call(operator, {}, dict(options), dict(sizes))
    if any(not isinstance(result, Tensor) or "..." in result.shape for result in operator.results):
        return None
    return tuple(
        (result.name, operator.shape_of(result, call), frozenset(map(np.dtype, result.dtypes)))
        for result in operator.results
        if isinstance(result, Tensor)
    )
