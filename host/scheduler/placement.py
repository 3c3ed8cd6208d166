"""Placement of calls on devices: the choice of one, the split over several, and fallback after failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ninefold.spec.data import Candidate, Database, State
from ninefold.spec.errors import DeviceError, LostDeviceError, UnavailableError, UnsupportedError
from ninefold.spec.signature import Call

from .batching import rows_of
from .costs import Costs, size_class
from .devices import LAST_RESORT, Devices
from .execution import LOADING
from .residents import COPY, LoggedState, key_of, residents_of
from .tasks import AUTO, Job, Pending
from .telemetry import Telemetry
from .worker import Worker

__all__ = ["Choice", "Placer", "choose", "consider", "refusal", "refusal_key", "score", "shares"]

#: Answered calls of a class before a device that must first be opened or loaded gets its trial.
TRIAL_AFTER: Final = 3
#: Expected time of a transfer without a measurement: seconds to start, and bytes per second.
LOAD_S, LOAD_BYTES_S = 0.05, 1e9
#: Rating of an operator for which a backend states none.
_UNRATED: Final = 3


@dataclass(frozen=True)
class Choice:
    """Chosen device for a call.

    Attributes
    ----------
    worker : Worker or None
        Device; None if no device is left.
    why : str
        Reason for the choice.
    trial : bool
        True if this is the device's first such call.
    ahead : tuple of Worker
        Devices that would be faster with the residents, to be loaded in the meantime.
    considered : tuple of Candidate
        All candidates.
    """

    worker: Worker | None
    why: str
    trial: bool = False
    ahead: tuple[Worker, ...] = ()
    considered: tuple[Candidate, ...] = ()


def score(worker: Worker, operator: str, prefer: str | None, depth: int) -> float:
    """Return 5 * capability + 3 * rating / 10 + 2 * available - 4 * utilisation.

    Capability is 1, or 1.5 for the preferred class. Utilisation is n / (n + 1) with n tasks on the same hardware.
    """
    capability = 1.5 if prefer == worker.found.kind else 1.0
    rating = worker.found.ratings.get(operator, _UNRATED)
    available = not worker.gone and (worker.breaker.state == "closed" or worker.breaker.allows)
    return 5 * capability + 3 * rating / 10 + 2 * available - 4 * depth / (depth + 1)


def refusal_key(call: Call) -> str:
    """Return a key that is equal for calls that a device refuses alike: the size class and the residents."""
    return " ".join([size_class(call), *(key_of(resident) for resident in residents_of(call))])


def refusal(worker: Worker, call: Call) -> str:
    """Return the reason that a device cannot run a call, or an empty string."""
    if worker.gone:
        return worker.gone
    name = call.operator.name
    if call.operator is COPY:
        return worker.breaker.refusal or _no_rebuild(worker, call.state())
    if name not in worker.operators:
        return f"{worker.name} does not know the operator {name}"
    reason = worker.operators[name] or ("" if worker.breaker.state == "closed" else worker.breaker.refusal)
    if not reason and call.operator.state_name:
        reason = _no_rebuild(worker, call.state())
    return reason or (worker.refusals.get(refusal_key(call), "") if worker.refusals else "")


def _no_rebuild(worker: Worker, state: State) -> str:
    """Return the reason that a device cannot rebuild a state, or an empty string if it can or need not."""
    if not isinstance(state, LoggedState) or worker.residents.holds(state):
        return ""
    for step in state.log:
        if (reason := worker.operators.get(step.operator.name, "unknown")) is not None:
            return f"{worker.name} cannot repeat {step.operator.name} to rebuild {state.id}: {reason}"
    return ""


def consider(
    workers: Iterable[Worker], call: Call, size: str, costs: Costs, prefer: str | None
) -> list[tuple[Candidate, Worker]]:
    """Return every device open to choice, with its score, expected times and reason for refusing, if any."""
    workers = list(workers)
    waits: dict[str, float] = {}
    depths: dict[str, int] = {}
    for worker in workers:
        if not worker.idle:
            unit = worker.unit
            waits[unit] = waits.get(unit, 0.0) + worker.wait_s
            depths[unit] = depths.get(unit, 0) + worker.depth
    wanted = residents_of(call)
    listed = []
    for worker in workers:
        if worker.found.named_only:
            continue
        load_s = 0.0
        for resident in wanted:
            if not worker.residents.holds(resident):
                nbytes = resident.nbytes
                measured = costs.expected_s(worker.name, f"{LOADING}{nbytes.bit_length()}")
                load_s += LOAD_S + nbytes / LOAD_BYTES_S if measured is None else measured
        candidate = Candidate(
            worker.name,
            score(worker, call.operator.name, prefer, depths.get(worker.unit, 0)),
            costs.expected_s(worker.name, size),
            load_s,
            waits.get(worker.unit, 0.0),
            refusal(worker, call),
        )
        listed.append((candidate, worker))
    return listed


def choose(
    listed: Sequence[tuple[Candidate, Worker]],
    tried: Mapping[str, int],
    answered: int,
    *,
    trials: bool,
    prefer: str | None,
) -> Choice:
    """Choose among candidates.

    Before any measurement the highest score wins. Afterwards the earliest expected completion wins, and a device
    without a measurement gets one trial. A preferred class takes precedence over both.

    Parameters
    ----------
    listed : sequence of (Candidate, Worker)
        Result of `consider`.
    tried : mapping of str to int
        Devices already tried, which are left out.
    answered : int
        Number of such calls answered by this scheduler.
    trials : bool
        True if this call may be a trial.
    prefer : str or None
        Preferred class of device.
    """
    # Loops instead of comprehensions, which are function calls in Python 3.11, since this runs for each task.
    considered: list[Candidate] = []
    able: list[tuple[Candidate, Worker]] = []
    measured: list[tuple[Candidate, Worker]] = []
    fresh: list[tuple[Candidate, Worker]] = []
    for candidate, worker in listed:
        considered.append(candidate)
        if not candidate.refused and worker.name not in tried:
            able.append((candidate, worker))
    if prefer is not None:
        able = [(c, w) for c, w in able if w.found.kind == prefer] or able
    if not able:
        return Choice(None, "no device is left", considered=tuple(considered))
    for candidate, worker in able:
        on_trial = worker.breaker.state != "closed" and worker.breaker.cooled
        (fresh if candidate.run_s is None or on_trial else measured).append((candidate, worker))
    if fresh and (trials or not measured):
        ready = [(c, w) for c, w in fresh if (w.opened and not c.load_s) or not measured or answered >= TRIAL_AFTER]
        idle = [(c, w) for c, w in ready if not w.depth] or ([] if measured else ready)
        if idle:
            best, worker = max(idle, key=lambda pair: pair[0].score)
            why = (
                f"rated highest, {best.score:.1f}; no such call has been measured yet"
                if not measured
                else "its one trial"
            )
            return Choice(worker, why, True, considered=tuple(considered))
    return _earliest(measured, len(able) == 1, tuple(considered))


def _earliest(measured: Sequence[tuple[Candidate, Worker]], only: bool, considered: tuple[Candidate, ...]) -> Choice:
    """Choose the earliest expected completion among measured devices; `only` says that no other device is able."""
    (best, chosen), best_s = measured[0], float("inf")
    for candidate, worker in measured:
        expected_s = candidate.wait_s + candidate.load_s + (candidate.run_s or 0.0)
        if expected_s < best_s:
            best, chosen, best_s = candidate, worker, expected_s
    ahead = []
    for candidate, worker in measured:
        if candidate.load_s and (candidate.run_s or 0.0) < (best.run_s or 0.0) and worker is not chosen:
            ahead.append(worker)
    why = f"earliest expected completion, {best_s * 1e3:.3g} ms"
    if only:
        why = "the only device that can run it"
    elif len(measured) == 1:
        why = f"the only device with a measurement, {(best.run_s or 0.0) * 1e3:.3g} ms"
    return Choice(chosen, why, ahead=tuple(ahead), considered=considered)


#: A call is split if one device is expected to need at least this time, and several at most this fraction of it.
WORTHWHILE_S: Final = 0.02
GAIN: Final = 0.8


def shares(
    call: Call, workers: Iterable[Worker], costs: Costs, prefer: str | None
) -> list[tuple[Worker, slice, float]]:
    """Divide the rows of a call so that all devices are expected to end at the same time.

    Only idle devices with measurements of such calls and with the residents take part, one for each piece of hardware.
    Call under the scheduler's lock.

    Returns
    -------
    list of (Worker, slice, float)
        Device, rows and expected seconds; empty if the call should not be split.
    """
    rows = rows_of(call)
    if rows is None or rows < 2 or prefer is not None:
        return []
    size = size_class(call)
    fastest: dict[str, tuple[float, Worker]] = {}
    busy = set()
    for worker in workers:
        seconds = costs.expected_s(worker.name, size)
        if worker.depth:
            busy.add(worker.unit)
        if seconds is None or worker.found.named_only or worker.breaker.state != "closed" or refusal(worker, call):
            continue
        if all(worker.residents.holds(resident) for resident in residents_of(call)):
            fastest[worker.unit] = min(
                fastest.get(worker.unit, (seconds, worker)), (seconds, worker), key=lambda p: p[0]
            )
    able = [pair for unit, pair in fastest.items() if unit not in busy]
    if len(able) < 2:
        return []
    alone = min(seconds for seconds, _ in able)
    together = 1 / sum(1 / max(seconds, 1e-9) for seconds, _ in able)
    if alone < WORTHWHILE_S or together > GAIN * alone:
        return []
    parts: list[tuple[Worker, slice, float]] = []
    first, portion = 0, 0.0
    for seconds, worker in able:
        portion += together / seconds
        last = round(rows * portion)
        if last > first:
            parts.append((worker, slice(first, last), together))
        first = last
    return parts if len(parts) > 1 else []


#: Number of size classes after which the counts of answered calls are reset.
_CLASSES: Final = 10_000


class Placer:
    """Placement of jobs on devices; used under the scheduler's lock.

    Parameters
    ----------
    devices : Devices
        Devices.
    costs : Costs
        Measured times.
    telemetry : Telemetry
        Telemetry.
    retries : int
        Number of retries of a strict task on its device, and of any task on the last resort.
    """

    def __init__(self, devices: Devices, costs: Costs, telemetry: Telemetry, retries: int) -> None:
        self._devices = devices
        self._costs = costs
        self._telemetry = telemetry
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

    def holder(self, state: LoggedState) -> Worker | None:
        """Return a working device that holds a version of a state, if there is one."""
        for worker in self._devices.workers.values():
            if not worker.gone and worker.breaker.state == "closed" and worker.residents.holds(state):
                return worker
        return None

    def choose(self, job: Job) -> Choice:
        """Return the choice for a job that names no device."""
        task = job.pending.task
        listed = consider(self._devices.workers.values(), job.call, job.size, self._costs, task.prefer)
        trials = not job.moving and task.deadline_s is None
        state = job.call.state() if job.call.operator.state_name else None
        holder = self.holder(state) if isinstance(state, LoggedState) else None
        if holder is not None and holder.name not in job.tried and not refusal(holder, job.call):
            return Choice(holder, "it keeps the state", considered=tuple(candidate for candidate, _ in listed))
        choice = choose(listed, job.tried, self.answered(job.size), trials=trials, prefer=task.prefer)
        if self._devices.surveyed or not job.pending.open_choice or job.moving or choice.worker is None:
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
        elif (absent := self._devices.last_resort_absent) is not None and not job.moving:
            # Another device answers, but the user should know that the processor cannot.
            self._note(job, pending, absent, LAST_RESORT)
        choice = self.choose(job)
        worker = choice.worker
        if worker is None:
            worker = self._devices.last_resort()
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
        if pending.named is None:
            return pending.absent
        worker = self._devices.workers[pending.named]
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
            if job.pending.future is None:
                job.pending.promise()
            worker.put(job)

    def _note(self, job: Job, pending: Pending, error: Exception, device: str) -> None:
        """Record that the expected device did not get the task."""
        pending.note(device, error)
        self._telemetry.fallback(pending.task.operator, device, error, pending.task.device or AUTO)
        job.moving = True

    @staticmethod
    def _exhausted(job: Job, pending: Pending, choice: Choice) -> Exception:
        """Return the error of a task that no device answers."""
        if len(pending.errors) == 1 and not isinstance(pending.errors[0], DeviceError):
            return pending.errors[0]
        said = list(pending.fallbacks)
        said += [f"{c.device}: {c.refused}" for c in choice.considered if c.refused and c.device not in job.tried]
        text = f"no device answered {pending.task.operator}: {'; '.join(dict.fromkeys(said)) or 'there is none'}"
        failed = [error for error in pending.errors if not isinstance(error, UnsupportedError | UnavailableError)]
        return DeviceError(text) if failed else UnsupportedError(text)
