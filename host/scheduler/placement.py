"""Placement of jobs on devices, first and after failures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError, LostDeviceError, UnavailableError, UnsupportedError

from .choice import Choice, choose, consider, refusal, refusal_key
from .costs import Costs
from .fleet import LAST_RESORT, Fleet
from .residents import residents_of
from .seen import Seen
from .work import AUTO, Job, Pending
from .worker import Worker

__all__ = ["Placement"]

#: Number of size classes after which the counts of answered calls are reset.
_CLASSES: Final = 10_000


class Placement:
    """Placement of jobs on devices; used under the scheduler's lock.

    Parameters
    ----------
    fleet : Fleet
        Devices.
    costs : Costs
        Measured times.
    seen : Seen
        Telemetry.
    retries : int
        Number of retries of a strict task on its device, and of any task on the last resort.
    """

    def __init__(self, fleet: Fleet, costs: Costs, seen: Seen, retries: int) -> None:
        self._fleet = fleet
        self._costs = costs
        self._seen = seen
        self._retries = retries
        self._answered: dict[str, int] = {}

    def count(self, job: Job) -> None:
        """Count an answered job."""
        if len(self._answered) > _CLASSES:
            self._answered.clear()
        self._answered[job.size] = self._answered.get(job.size, 0) + 1

    def answered(self, size: str) -> int:
        """Return the number of answered jobs of a size class."""
        return self._answered.get(size, 0)

    def choose(self, job: Job) -> Choice:
        """Return the choice for a job that names no device."""
        task = job.pending.task
        listed = consider(self._fleet.workers.values(), job.call, job.size, self._costs, task.prefer)
        trials = not job.moving and task.deadline_s is None
        choice = choose(listed, job.tried, self.answered(job.size), trials=trials, prefer=task.prefer)
        if self._fleet.surveyed or not job.pending.open_choice or job.moving or choice.worker is None:
            return choice
        expected_s = self._costs.expected_s(choice.worker.name, job.size) or 0.0
        return replace(choice, why=f"measured at {expected_s * 1e3:.3g} ms; other devices were not probed")

    def place(self, job: Job, pending: Pending) -> Exception | None:
        """Queue a job, or return the final error of its task."""
        if not pending.open_choice:
            error = self._place_named(job, pending)
            if error is None or pending.task.strict:
                return error
            if not job.moving:
                self._note(job, pending, error, str(pending.task.device))
        elif (absent := self._fleet.last_resort_absent) is not None and not job.moving:
            # Another device answers, but the user should know that the processor cannot.
            self._note(job, pending, absent, LAST_RESORT)
        choice = self.choose(job)
        worker = choice.worker
        if worker is None:
            worker = self._fleet.last_resort()
            if worker is None or refusal(worker, job.call) or job.tried.get(worker.name, 0) > self._retries:
                return self._exhausted(job, pending, choice)
        pending.considered = pending.considered or choice.considered
        if pending.answers is None:  # for a split batch, the split is the reason
            pending.why = f"fell back: {pending.fallbacks[-1]}" if pending.fallbacks else choice.why
        self._put(worker, job)
        for faster in choice.ahead:
            for resident in residents_of(job.call):
                if isinstance(resident, Database):
                    faster.load_ahead(resident)
        return None

    def _place_named(self, job: Job, pending: Pending) -> Exception | None:  # noqa: PLR0911 - one per reason
        """Queue a job on the device that it names, or return the error."""
        worker = pending.named
        if worker is None:
            return pending.absent
        tries = job.tried.get(worker.name, 0)
        reason = refusal(worker, job.call)
        if not reason and tries <= (self._retries if pending.task.strict else 0):
            pending.why = "asked for by name"
            self._put(worker, job)
            return None
        if tries and pending.errors:
            return pending.errors[-1]
        if worker.gone:
            return LostDeviceError(f"{worker.name} is no longer available: {worker.gone}")
        if worker.operators.get(job.call.operator.name):
            return UnsupportedError(f"{worker.name} does not run {job.call.operator.name}: {reason}")
        if refusal_key(job.call) in worker.refusals:
            return UnsupportedError(reason)
        return DeviceError(f"{worker.name} is {reason}")

    def _put(self, worker: Worker, job: Job) -> None:
        expected_s = self._costs.expected_s(worker.name, job.size)
        job.trial, job.cost_s = expected_s is None, expected_s or 0.0
        if job.pending.waited_for and (running := worker.lend(job)) is not None:
            job.lent = partial(worker.run_lent, running)
        else:
            worker.put(job)

    def _note(self, job: Job, pending: Pending, error: Exception, device: str) -> None:
        """Record that the expected device did not get the task."""
        pending.note(device, error)
        self._seen.fallback(pending.task.operator, device, error, pending.task.device or AUTO)
        job.moving = True

    @staticmethod
    def _exhausted(job: Job, pending: Pending, choice: Choice) -> Exception:
        """Return the error of a task that no device answers."""
        if len(pending.errors) == 1 and not isinstance(pending.errors[0], DeviceError):
            return pending.errors[0]
        said = list(pending.fallbacks)
        said += [f"{c.device}: {c.refused}" for c in choice.considered if c.refused and c.device not in job.tried]
        text = f"no device answered {pending.task.operator}: {'; '.join(said) or 'there is none'}"
        failed = [error for error in pending.errors if not isinstance(error, UnsupportedError | UnavailableError)]
        return DeviceError(text) if failed else UnsupportedError(text)
