"""What became better or worse since an earlier run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ninefold.spec.benchmark import Figure
from ninefold.spec.errors import InputError
from ninefold.spec.text import counted

from .records import Run

__all__ = ["FLOORS", "Change", "Comparison", "compare", "threshold"]

Verdict = Literal["regression", "improvement", "same"]

#: Relative changes that are never held against anyone: machines have moods, which a peer in the same run shares.
FLOORS: Final = {"ratio": 0.10, "timed": 0.25, "exact": 1e-9}
#: Of the standard error of the change, how much counts as noise.
_ERRORS = 3.0
#: Standard error of the median of n normal values in terms of the distance of their quartiles, times sqrt(n):
#: sqrt(pi / 2) standard deviations, of which the quartiles are 1.349 apart.
_MEDIAN_ERROR = math.sqrt(math.pi / 2) / 1.349


@dataclass(frozen=True)
class Change:
    """One figure, then and now.

    Attributes
    ----------
    suite : str
        Its suite.
    old, new : Figure
        Then and now.
    worse : float
        How many times worse it is now; below 1 it is better.
    threshold : float
        The relative change that is taken for noise.
    verdict : str
        ``"regression"``, ``"improvement"`` or ``"same"``.
    """

    suite: str
    old: Figure
    new: Figure
    worse: float
    threshold: float
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """Two runs, figure by figure.

    Attributes
    ----------
    changes : tuple of Change
        Of the figures that both runs judge.
    gone, added : tuple of str
        Figures that only the old run, or only the new one, has; of suites that both ran.
    notes : tuple of str
        What else differs: versions of packages, threads.
    """

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What became worse."""
        return tuple(change for change in self.changes if change.verdict == "regression")

    @property
    def summary(self) -> str:
        """How many figures became worse or better, in a sentence without a full stop."""
        worse, better = len(self.regressions), sum(change.verdict == "improvement" for change in self.changes)
        return (
            f"{worse} regression{'s'[: worse != 1]}, {better} improvement{'s'[: better != 1]}, of {len(self.changes)}"
            f" compared; {len(self.gone)} gone, {len(self.added)} new"
        )


def compare(old: Run, new: Run, *, any_machine: bool = False) -> Comparison:
    """Hold a run against an earlier one.

    Beside a peer the ratio is compared, else the value; figures without a better side, as those of peers, are not.

    Parameters
    ----------
    old, new : Run
        The runs.
    any_machine : bool
        Compare although the machines, or the threads, differ.

    Raises
    ------
    InputError
        They are of different sizes, or ran on different machines or with different numbers of threads.
    """
    if old.size != new.size:
        raise InputError(f"the earlier run is of size {old.size}, this one of {new.size}")
    differs = new.machine.differs(old.machine)
    if old.threads != new.threads:
        differs = "; ".join(filter(None, (differs, f"{counted(old.threads, 'thread')} there, {new.threads} here")))
    if differs and not any_machine:
        raise InputError(f"the earlier run differs: {differs}; --any-machine compares all the same")
    notes = [f"the earlier run differs: {differs}"] if differs else []
    notes += [f"{suite} was not measured then" for suite in new.suites if suite not in old.suites]
    for name in sorted({*old.packages, *new.packages}):
        before, after = old.packages.get(name, "none"), new.packages.get(name, "none")
        if before != after:
            notes.append(f"{name} {before} then, {after} now")
    changes: list[Change] = []
    gone: list[str] = []
    added: list[str] = []
    for suite in sorted({*old.suites} & {*new.suites}):
        then = {figure.key: figure for figure in old.suites[suite]}
        now = {figure.key: figure for figure in new.suites[suite]}
        gone += [f"{suite}: {_name(then[key])}" for key in then if key not in now]
        added += [f"{suite}: {_name(now[key])}" for key in now if key not in then]
        changes += _changes(suite, [(then[key], now[key]) for key in now if key in then])
    return Comparison(tuple(changes), tuple(gone), tuple(added), tuple(notes))


def threshold(old: Figure, new: Figure) -> float:
    """Return the relative change from one figure to the other that is taken for noise.

    Three standard errors of the difference of the medians, from their spreads and repetitions, and at least 10 % beside
    a peer, 25 % without one; nothing for what is exact.
    """
    if new.kind != "timed":
        return FLOORS["exact"]
    errors = [_MEDIAN_ERROR * _relative(figure) / math.sqrt(figure.repetitions) for figure in (old, new)]
    return max(FLOORS["timed" if new.ratio is None else "ratio"], _ERRORS * math.hypot(*errors))


def _changes(suite: str, pairs: list[tuple[Figure, Figure]]) -> Iterator[Change]:
    for old, new in pairs:
        if not new.better or (old.ratio is None) != (new.ratio is None):
            continue
        worse, noise = _worse(old, new), threshold(old, new)
        verdict: Verdict = "same"
        if worse > 1 + noise:
            verdict = "regression"
        elif worse < 1 / (1 + noise):
            verdict = "improvement"
        yield Change(suite, old, new, worse, noise, verdict)


def _worse(old: Figure, new: Figure) -> float:
    smaller_before, larger_now = old.judged, new.judged
    if new.better == "more":
        smaller_before, larger_now = larger_now, smaller_before
    if smaller_before == larger_now:
        return 1.0
    return larger_now / smaller_before if smaller_before else math.inf


def _relative(figure: Figure) -> float:
    spread = figure.spread if figure.ratio is None else figure.ratio_spread
    return abs(spread / figure.judged) if figure.judged else 0.0


def _name(figure: Figure) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in figure.parameters.items())
    return f"{figure.case}, {figure.subject}, {figure.quantity}" + (f" ({parameters})" if parameters else "")
