"""Choice of the device for a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ninefold.spec.data import Candidate
from ninefold.spec.signature import Call

from .costs import Costs, size_class
from .execution import LOADING
from .residents import key_of, nbytes_of, residents_of
from .worker import Worker

__all__ = ["Choice", "choose", "consider", "refusal", "refusal_key", "score"]

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
    available = not worker.gone and worker.breaker.allows
    return 5 * capability + 3 * rating / 10 + 2 * available - 4 * depth / (depth + 1)


def refusal_key(call: Call) -> str:
    """Return a key that is equal for calls that a device refuses alike: the size class and the residents."""
    return " ".join([size_class(call), *(key_of(resident) for resident in residents_of(call))])


def refusal(worker: Worker, call: Call) -> str:
    """Return the reason that a device cannot run a call, or an empty string."""
    if worker.gone:
        return worker.gone
    name = call.operator.name
    if name not in worker.operators:
        return f"{worker.name} does not know the operator {name}"
    reason = worker.operators[name] or worker.breaker.refusal
    return reason or (worker.refusals.get(refusal_key(call), "") if worker.refusals else "")


def consider(
    workers: Iterable[Worker], call: Call, size: str, costs: Costs, prefer: str | None
) -> list[tuple[Candidate, Worker]]:
    """Return every device open to choice, with its score, expected times and reason for refusing, if any."""
    workers = list(workers)
    waits: dict[str, float] = {}
    depths: dict[str, int] = {}
    for worker in workers:
        waits[worker.unit] = waits.get(worker.unit, 0.0) + worker.wait_s
        depths[worker.unit] = depths.get(worker.unit, 0) + worker.depth
    wanted = residents_of(call)
    listed = []
    for worker in workers:
        if worker.found.named_only:
            continue
        load_s = 0.0
        for resident in wanted:
            if not worker.residents.holds(resident):
                nbytes = nbytes_of(resident)
                measured = costs.expected_s(worker.name, f"{LOADING}{nbytes.bit_length()}")
                load_s += LOAD_S + nbytes / LOAD_BYTES_S if measured is None else measured
        candidate = Candidate(
            worker.name,
            score(worker, call.operator.name, prefer, depths[worker.unit]),
            costs.expected_s(worker.name, size),
            load_s,
            waits[worker.unit],
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
    considered = tuple(candidate for candidate, _ in listed)
    able = [(c, w) for c, w in listed if not c.refused and w.name not in tried]
    if prefer is not None:
        able = [(c, w) for c, w in able if w.found.kind == prefer] or able
    if not able:
        return Choice(None, "no device is left", considered=considered)
    measured = [(c, w) for c, w in able if c.run_s is not None and not w.breaker.cooled]
    fresh = [(c, w) for c, w in able if c.run_s is None or w.breaker.cooled]
    if trials or not measured:
        ready = [(c, w) for c, w in fresh if (w.opened and not c.load_s) or not measured or answered >= TRIAL_AFTER]
        idle = [(c, w) for c, w in ready if not w.depth] or ([] if measured else ready)
        if idle:
            best, worker = max(idle, key=lambda pair: pair[0].score)
            why = (
                f"rated highest, {best.score:.1f}; no such call has been measured yet"
                if not measured
                else "its one trial"
            )
            return Choice(worker, why, True, considered=considered)
    best, worker = min(measured, key=lambda pair: pair[0].completion_s or 0.0)
    ahead = tuple(w for c, w in measured if c.load_s and (c.run_s or 0.0) < (best.run_s or 0.0) and w is not worker)
    why = f"earliest expected completion, {_ms(best.completion_s or 0.0)}"
    if len(able) == 1:
        why = "the only device that can run it"
    elif len(measured) == 1:
        why = f"the only device with a measurement, {_ms(best.run_s or 0.0)}"
    return Choice(worker, why, ahead=ahead, considered=considered)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
