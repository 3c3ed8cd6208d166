"""Dispatch of tasks: to a device, to the next device after a failure, and back to the future, exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from ninefold.host import hooks
from ninefold.spec.data import Answer, Kept, Result, State, Task
from ninefold.spec.errors import (
    DamagedDataError,
    DeviceError,
    InputError,
    InterruptError,
    UnsupportedError,
)
from ninefold.spec.protocols import Backend
from ninefold.spec.signature import Call
from ninefold.spec.text import counted

from .admission import Admission
from .batching import stack, take
from .breaker import Breaker
from .costs import Costs, size_class
from .devices import LAST_RESORT, Devices
from .execution import WorkerContext
from .guard import is_interrupt, text_of
from .placement import TRIAL_AFTER, Choice, Placer, refusal, refusal_key, shares
from .residents import COPY, LoggedState, at_version, detached
from .states import States
from .supervisor import Supervisor
from .tasks import AUTO, Job, Pending
from .telemetry import Telemetry
from .worker import Worker

__all__ = ["Dispatcher"]

#: Device reported for answers without computation.
_HOST: Final = "host"
#: Minimum time of a first survey of the devices, in seconds; shorter calls run on the CPU without a survey.
SURVEY_S: Final = 0.2


class Dispatcher:
    """Dispatcher of tasks between the scheduler's parts. The first to claim a task gives its future the one answer.

    Parameters
    ----------
    backends : mapping of str to Backend or None
        As in `Prober`.
    lock : threading.Lock
        Lock that guards all state here; held briefly, never during a call.
    clock : callable
        Monotonic clock in seconds.
    admission : Admission
        Limit of tasks in flight.
    costs : Costs
        Measured times.
    telemetry : Telemetry
        Telemetry.
    breaker : callable
        Factory of circuit breakers.
    generator : numpy.random.Generator
        Generator that chooses the rows of spot checks.
    check_every, copy_every, retries, refresh_s : int, int, int, float or None
        As in `Scheduler`.

    Attributes
    ----------
    devices : Devices
    placer : Placer
    states : States
    """

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend] | None,
        lock: threading.Lock,
        clock: Callable[[], float],
        admission: Admission,
        costs: Costs,
        telemetry: Telemetry,
        breaker: Callable[[], Breaker],
        generator: np.random.Generator,
        check_every: int,
        copy_every: int,
        retries: int,
        refresh_s: float | None,
    ) -> None:
        self._lock, self._clock, self._admission = lock, clock, admission
        self._costs, self._telemetry = costs, telemetry
        workers: dict[str, Worker] = {}
        self._supervisor = Supervisor(lock, clock, workers, telemetry, self._move, self.settle)
        watch = self._supervisor.watch
        reports = (watch, self._claim, self._deliver, self._move, self._fail)
        context = WorkerContext(lock, clock, costs, telemetry, generator, check_every, copy_every, *reports)
        self.devices = Devices(backends, workers, context, breaker, refresh_s)
        self.placer = Placer(self.devices, costs, telemetry, retries)
        self.states = States(lock, self._start_due, self._needs_copy, self._admit_copy)

    def stop(self, patience_s: float) -> None:
        """End every worker, with `patience_s` for running calls, and every other thread."""
        with self._lock:
            workers = list(self.devices.workers.values())
            for worker in workers:
                worker.stop()
        for worker in workers:
            worker.join(patience_s)
        with self._lock:
            for worker in workers:
                worker.give_up()
        self._telemetry.log_events()
        self._supervisor.stop()
        self.devices.join()

    def explain(self, pending: Pending) -> Choice:
        """Return the current choice for a task that was not sent."""
        if pending.call.operator.state_name:
            pending.call = at_version(pending.call, self.states.latest(pending))
        call = hooks.before(pending.call)
        if isinstance(call, Answer):
            return Choice(None, "there is nothing to compute")
        self.devices.survey()
        job = Job(call, pending)
        with self._lock:
            named = self.devices.workers.get(pending.named or "")
            if named is not None and not refusal(named, call):
                return Choice(named, "asked for by name")
            return self.placer.choose(job)

    def start(self, pending: Pending) -> None:
        """Send an admitted task to its device, or queue it for its state."""
        if not pending.waited_for:
            pending.promise()
        try:
            if pending.task.deadline_s is not None:
                with self._lock:
                    self._supervisor.expect(pending, pending.submitted_s + pending.task.deadline_s)
            if pending.call.operator.state_name:
                pending.waited_for = False
                pending.promise()
                pending.needs_content = hooks.defines("before", pending.call.operator)
                self.states.enqueue(pending)
            else:
                self._begin(pending)
        except Exception as error:
            self.settle(pending, error)
        except BaseException as error:  # the caller leaves: the task must not keep its place
            self.settle(pending, _raised(pending, error))
            raise

    def _begin(self, pending: Pending) -> None:
        """Send a task to its device, unless the hook before devices answers it."""
        call = hooks.before(pending.call)
        if isinstance(call, Answer):
            self._answer_on_host(pending, call)
            return
        self._know_devices(pending)
        if not (pending.open_choice and self._split(pending, call)):
            self._dispatch(Job(call, pending))

    def _answer_on_host(self, pending: Pending, answer: Answer) -> None:
        """Take an answer that needed no device, with the next state of a step."""
        operator = pending.call.operator
        if operator.stateful:
            layout, state = operator.layout_of(operator.state_name), answer.state
            flaw = layout.flaw(pending.call.state(), state) if isinstance(state, State) else "it has no next state"
        else:
            flaw = "it holds a state" if answer.state is not None and operator is not COPY else ""
        if flaw:
            raise DeviceError(f"the hook before {operator.name} gave a wrong answer: {flaw}")
        with self._lock:
            if pending.settled:
                return
            pending.why = "there is nothing to compute"
            pending.answered_by = (_HOST,)
            if answer.state is not None:
                self._commit(pending.call, answer.state)
            pending.settled = True
        self._deliver([(pending, answer)])

    def _start_due(self, pending: Pending, state: State) -> None:
        """Send a step, a read or a copy to its device, with the last committed version of the state."""
        try:
            call = pending.call = at_version(pending.call, state)
            if call.operator is not COPY:
                self._begin(pending)
            elif isinstance(state, LoggedState):
                self._know_devices(pending)
                self._dispatch(Job(call, pending))
            else:
                self._answer_on_host(pending, Answer({}, state=state))
        except BaseException as error:
            self.settle(pending, error if isinstance(error, Exception) else _raised(pending, error))
            if is_interrupt(error):
                raise

    def _needs_copy(self, pending: Pending, state: LoggedState) -> bool:
        """Return True if the host needs a copy of a state before a step or read starts; call under the lock."""
        if pending.needs_content:
            return True
        holder = self.placer.holder(state)
        if holder is None:
            return False  # the device of the step repeats the logged ones
        if pending.named is not None:
            return pending.named != holder.name
        return pending.task.prefer not in (None, holder.found.kind)

    def _admit_copy(self, call: Call, needed_by: Pending | None) -> Pending:
        """Admit a task that copies a state; call under the lock."""
        task = Task(call.operator.name, call.arguments, priority=10)
        pending = Pending(task, call, self._clock(), self.cancelled, needed_by=needed_by)
        pending.promise()
        self._admission.admit(pending)
        return pending

    def _know_devices(self, pending: Pending) -> None:
        """Find all devices for an open choice, or a fallback for a named device."""
        if pending.open_choice:
            if not (self._is_kept(pending.call) or self._cpu_is_quick(pending)):
                self.devices.survey()
        elif not pending.task.strict and LAST_RESORT not in self.devices.workers:
            self.devices.at_least_one()

    def _is_kept(self, call: Call) -> bool:
        """Return True if a device keeps the state of a call."""
        if not call.operator.state_name or not isinstance(state := call.state(), LoggedState):
            return False
        with self._lock:
            return self.placer.holder(state) is not None

    def _cpu_is_quick(self, pending: Pending) -> bool:
        """Return True if the idle CPU is known to answer before a first survey of the devices would end."""
        if self.devices.surveyed or pending.task.prefer is not None:
            return False
        self.devices.at_least_one()
        with self._lock:
            worker, size = self.devices.last_resort(), size_class(pending.call)
            if self.devices.surveyed or worker is None or worker.depth or refusal(worker, pending.call):
                return False
            expected_s = self._costs.expected_s(worker.name, size)
            # After `TRIAL_AFTER` answers another device may get a trial.
            return expected_s is not None and expected_s < SURVEY_S and self.placer.answered(size) < TRIAL_AFTER

    def _split(self, pending: Pending, call: Call) -> bool:
        """Split a large call over devices if that is expected to end earlier; return True if split."""
        with self._lock:
            parts = shares(call, self.devices.workers.values(), self._costs, pending.task.prefer)
            if not parts:
                return False
            pending.promise()
            pending.answers = [None] * len(parts)
            pending.why = "a batch split by measured speed: " + ", ".join(
                f"{worker.name} {counted(rows.stop - rows.start, 'row')}" for worker, rows, _ in parts
            )
            for number, (worker, rows, cost_s) in enumerate(parts):
                job = Job(take(call, rows), pending, number)
                job.cost_s = cost_s
                worker.put(job)
        return True

    def _dispatch(self, job: Job) -> None:
        """Queue a job on a device, or settle its task with an error."""
        pending = job.pending
        if pending.settled:
            return
        with self._lock:
            try:
                error = self.placer.place(job, pending)
            except DeviceError as failure:  # no thread could be started
                error = failure
            if error is not None and not pending.task.strict:
                error = self._lost(job.call, error)
        if self._telemetry.unlogged:
            self._telemetry.log_events()
        pending.waited_for = False  # later work is not on the waiting thread
        if error is not None:
            self.settle(pending, error)
        elif job.lent is not None:
            run, job.lent = job.lent, None
            try:
                run()
            except BaseException:  # an interrupt of the calling thread
                self.settle(pending, DeviceError("the task was interrupted"))
                raise

    def _lost(self, call: Call, error: Exception) -> Exception:
        """Return the error of a call that no device runs; if none can rebuild its state, versions are lost."""
        state = call.state() if call.operator.state_name else None
        if not isinstance(state, LoggedState) or self.placer.holder(state) is not None:
            return error
        for worker in self.devices.workers.values():
            worker.drop(state.id)  # later steps make other versions with these numbers
        return self.states.lose(state, error)

    # Called after a device.

    def _claim(self, pairs: list[tuple[Job, Answer]], device: str) -> list[tuple[Pending, Answer]]:
        """Take the answers of one call, and return those that complete a task; a step is committed then."""
        for job, answer in pairs:
            if isinstance(answer.state, Kept):
                job.call = detached(job.call)
        claimed = []
        with self._lock:
            for job, answer in pairs:
                if (whole := self._claim_one(job, device, answer)) is not None:
                    claimed.append((job.pending, whole))
        return claimed

    def _claim_one(self, job: Job, device: str, answer: Answer) -> Answer | None:
        """Take an answer under the lock; return the whole answer if this completes the task, else None."""
        pending = job.pending
        if pending.settled:
            return None
        self.placer.count(job)
        pending.answered_by += (device,)
        if pending.answers is not None:
            pending.answers[job.part] = answer
            parts = [part for part in pending.answers if part is not None]
            if len(parts) < len(pending.answers):
                return None
            answer = stack(parts)
        if answer.state is not None:
            self._commit(job.call, answer.state)
        pending.settled = True  # a deadline that passes now has no effect
        return answer

    def _commit(self, call: Call, state: State | Kept) -> None:
        """Note the state in an answer under the lock."""
        if call.operator is COPY and isinstance(state, State):
            self.states.keep_copy(state)
        else:
            self.states.commit(call, state)

    def _deliver(self, answered: list[tuple[Pending, Answer]]) -> None:
        """Give claimed tasks their results."""
        outcomes: list[tuple[Pending, Result | BaseException]] = []
        for pending, answer in answered:
            try:
                outcomes.append((pending, pending.result(hooks.after(pending.call, answer))))
            except BaseException as error:
                # This runs on the caller's thread then, and the future passes the interrupt to the caller.
                passed = isinstance(error, Exception) or is_interrupt(error)
                outcomes.append((pending, error if passed else _raised(pending, error)))
        self._give(outcomes)

    def _give(self, outcomes: Sequence[tuple[Pending, Result | BaseException]]) -> None:
        """End tasks. Metrics and queue are updated before the futures get their answers."""
        ended = []
        for pending, outcome in outcomes:
            pending.outcome = "answered" if isinstance(outcome, Result) else "failed"
            ended.append(pending)
        self._leave(ended)
        for pending, outcome in outcomes:
            pending.give(outcome)

    def _move(self, job: Job, device: str, error: Exception | InterruptError) -> None:
        """Send a job to another device after `device` did not answer."""
        pending = job.pending
        if pending.settled:
            return
        if isinstance(error, InputError | DamagedDataError | InterruptError):
            self.settle(pending, error)
            return
        with self._lock:
            if isinstance(error, UnsupportedError):
                self.devices.workers[device].refusals[refusal_key(job.call)] = text_of(error)
            job.tried = {**job.tried, device: job.tried.get(device, 0) + 1}
            job.moving = True
            pending.note(device, error)
        self._telemetry.fallback(pending.task.operator, device, error, pending.task.device or AUTO)
        if pending.open_choice:
            self.devices.survey()
        else:
            self.devices.at_least_one()
        self._dispatch(job)

    def _fail(self, job: Job, error: Exception) -> None:
        """End the task of a job with an error."""
        self.settle(job.pending, error)

    def settle(self, pending: Pending, error: Exception | InterruptError) -> None:
        """End a task with an error unless it has already ended, and the task that needs it."""
        with self._lock:
            if pending.settled:
                return
            ending = [one for one in (pending, pending.needed_by) if one is not None and not one.settled]
            for one in ending:
                one.settled = True
        self._give([(one, error) for one in ending])

    def cancelled(self, pending: Pending) -> None:
        """Release the place of a task that its user has cancelled."""
        self._leave([pending])

    def _leave(self, ended: list[Pending]) -> None:
        """Release the places of ended tasks and start the next steps of their states."""
        now = self._clock()
        for pending in ended:
            pending.settled = True
        left = self._admission.leave(ended)
        ended_tasks = []
        for pending in left:
            if pending.future is not None:
                pending.future.pending = None  # a cycle that only the garbage collector would free
            device = pending.answered_by[-1] if pending.answered_by else ""
            ended_tasks.append((pending.call.operator.name, device, pending.outcome, now - pending.submitted_s))
        self._telemetry.ended(ended_tasks)
        for pending in left:
            if pending.call.operator.state_name:
                self.states.ended(pending)


def _raised(pending: Pending, error: BaseException) -> DeviceError:
    """Return the error of a task after a hook or a callback raised a ``BaseException`` that is no ``Exception``."""
    made = DeviceError(f"{pending.task.operator} was aborted by {type(error).__name__}: {text_of(error)}")
    made.__cause__ = error
    return made
