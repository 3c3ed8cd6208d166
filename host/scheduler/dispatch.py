"""Dispatch of tasks: to a device, to the next device after a failure, and back to the future, exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from ninefold.host import hooks
from ninefold.spec.data import Answer, Result, State
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, InterruptError, UnsupportedError
from ninefold.spec.protocols import Backend
from ninefold.spec.signature import Call
from ninefold.spec.text import counted

from .admission import Admission, bound
from .batching import stack, take
from .breaker import Breaker
from .costs import Costs, size_class
from .devices import Devices
from .execution import WorkerContext
from .guard import is_interrupt, text_of
from .placement import TRIAL_AFTER, Placer, refusal, refusal_key, shares
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
    check_every, retries, refresh_s : int, int, float or None
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
        retries: int,
        refresh_s: float | None,
    ) -> None:
        self._lock, self._clock, self._admission = lock, clock, admission
        self._costs, self._telemetry = costs, telemetry
        workers: dict[str, Worker] = {}
        self._supervisor = Supervisor(lock, clock, workers, telemetry, self._move, self.settle)
        watch = self._supervisor.watch
        reports = (watch, self._answer, self._move, self._fail)
        context = WorkerContext(lock, clock, costs, telemetry, generator, check_every, *reports)
        self.devices = Devices(backends, workers, context, breaker, refresh_s)
        self.placer = Placer(self.devices, costs, telemetry, retries)
        self.states = States(lock, self._start_step)

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

    def start(self, pending: Pending) -> None:
        """Send an admitted task to its device, or queue it for its state."""
        future = pending.future
        future.pending, future.on_cancel = pending, self._cancelled
        try:
            if pending.task.deadline_s is not None:
                with self._lock:
                    self._supervisor.expect(pending, pending.submitted_s + pending.task.deadline_s)
            if pending.call.operator.stateful:
                pending.waited_for = False
                self.states.enqueue(pending)
                return
            call = hooks.before(pending.call)
            if isinstance(call, Answer):
                pending.why = "there is nothing to compute"
                pending.answered_by = (_HOST,)
                pending.settled = True
                self._deliver([(pending, call)])
                return
            self._know_devices(pending)
            if not (pending.open_choice and self._split(pending, call)):
                self._dispatch(Job(call, pending))
        except Exception as error:
            self.settle(pending, error)
        except BaseException as error:  # the caller leaves: the task must not keep its place
            self.settle(pending, _raised(pending, error))
            raise

    def _start_step(self, pending: Pending) -> None:
        """Send a step to its device, with the last committed version of the state."""
        try:
            pending.call = bound(pending.call.operator, pending.task)
            self._know_devices(pending)
            self._dispatch(Job(pending.call, pending))
        except BaseException as error:
            self.settle(pending, error if isinstance(error, Exception) else _raised(pending, error))
            if is_interrupt(error):
                raise

    def _know_devices(self, pending: Pending) -> None:
        """Find all devices for an open choice, or a fallback for a named device."""
        if pending.open_choice:
            if not self._cpu_is_quick(pending):
                self.devices.survey()
        elif not pending.task.strict:
            self.devices.at_least_one()

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

    # Called after a device.

    def _answer(self, pairs: list[tuple[Job, Answer]], device: str) -> bool:
        """Take the answers of one call; return True if a step was committed."""
        with self._lock:
            claimed = [self._claim(job, device, answer) for job, answer in pairs]
        final = [(job.pending, answer) for (job, _), answer in zip(pairs, claimed, strict=True) if answer is not None]
        self._deliver(final)
        return bool(final) and pairs[0][0].call.operator.stateful

    def _claim(self, job: Job, device: str, answer: Answer) -> Answer | None:
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
        if isinstance(answer.state, State):
            self.states.commit(answer.state)
        pending.settled = True  # a deadline that passes now has no effect
        return answer

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
        for pending, outcome in outcomes:
            pending.outcome = "answered" if isinstance(outcome, Result) else "failed"
        self._leave([pending for pending, _ in outcomes])
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
        """End a task with an error unless it has already ended."""
        with self._lock:
            if pending.settled:
                return
            pending.settled = True
        self._give([(pending, error)])

    def _cancelled(self, pending: Pending) -> None:
        self._leave([pending])

    def _leave(self, ended: list[Pending]) -> None:
        """Release the places of ended tasks and start the next steps of their states."""
        now = self._clock()
        for pending in ended:
            pending.settled = True
        left = self._admission.leave(ended)
        ended_tasks = []
        for pending in left:
            pending.future.pending = None  # a cycle that only the garbage collector would free
            device = pending.answered_by[-1] if pending.answered_by else ""
            ended_tasks.append((pending.call.operator.name, device, pending.outcome, now - pending.submitted_s))
        self._telemetry.ended(ended_tasks)
        for pending in left:
            if pending.call.operator.stateful:
                self.states.ended(pending)


def _raised(pending: Pending, error: BaseException) -> DeviceError:
    """Return the error of a task after a hook or a callback raised a ``BaseException`` that is no ``Exception``."""
    made = DeviceError(f"{pending.task.operator} was aborted by {type(error).__name__}: {text_of(error)}")
    made.__cause__ = error
    return made
