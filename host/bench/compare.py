"""Comparison of a run with an earlier one: regressions and improvements."""

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

#: Relative changes that always count as noise. Load on the machine also slows the peer of the same run, so ratios vary
#: less than times.
FLOORS: Final = {"ratio": 0.10, "timed": 0.25, "exact": 1e-9}
#: Standard errors of the change that count as noise.
_ERRORS = 3.0
#: Standard error of the median of n normal values in terms of the distance of their quartiles, times sqrt(n):
#: sqrt(pi / 2) standard deviations, of which the quartiles are 1.349 apart.
_MEDIAN_ERROR = math.sqrt(math.pi / 2) / 1.349


@dataclass(frozen=True)
class Change:
    """Change of one figure.

    Attributes
    ----------
    suite : str
        Suite of the figure.
    old, new : Figure
        The figure of each run.
    worse : float
        Factor by which the figure became worse; below 1 it became better.
    threshold : float
        Relative change that counts as noise.
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
    """Comparison of two runs, figure by figure.

    Attributes
    ----------
    changes : tuple of Change
        Changes of the figures that both runs judge.
    gone, added : tuple of str
        Figures that only the old run or only the new run has, in suites of both.
    notes : tuple of str
        Other differences: versions of packages, threads.
    """

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """Changes for the worse that exceed the noise."""
        return tuple(change for change in self.changes if change.verdict == "regression")

    @property
    def summary(self) -> str:
        """Numbers of figures that became worse or better, in a sentence without a full stop."""
        worse, better = len(self.regressions), sum(change.verdict == "improvement" for change in self.changes)
        return (
            f"{worse} regression{'s'[: worse != 1]}, {better} improvement{'s'[: better != 1]}, of {len(self.changes)}"
            f" compared; {len(self.gone)} missing, {len(self.added)} new"
        )


def compare(old: Run, new: Run, *, any_machine: bool = False) -> Comparison:
    """Compare a run with an earlier one.

    The ratio is compared where both figures are beside the same peer, the value where neither has a peer. Figures that
    are not judged, such as the times of peers, are not compared.

    Parameters
    ----------
    old, new : Run
        The earlier and the later run.
    any_machine : bool
        Compare even if the machines or the thread counts differ.

    Raises
    ------
    InputError
        The sizes, the machines or the thread counts differ.
    """
    if old.size != new.size:
        raise InputError(f"the earlier run has size {old.size}, this one {new.size}")
    differs = new.machine.differs(old.machine)
    if old.threads != new.threads:
        differs = "; ".join(filter(None, (differs, f"{counted(old.threads, 'thread')} there, {new.threads} here")))
    if differs and not any_machine:
        raise InputError(f"the earlier run differs: {differs}; --any-machine compares them anyway")
    notes = [f"the earlier run differs: {differs}"] if differs else []
    notes += [f"{suite} is not in the earlier run" for suite in new.suites if suite not in old.suites]
    for name in sorted({*old.packages, *new.packages}):
        before, after = old.packages.get(name, "none"), new.packages.get(name, "none")
        if before != after:
            notes.append(f"{name}: {before} in the earlier run, {after} now")
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
    """Return the relative change from one figure to the other that counts as noise.

    It is three standard errors of the difference of the medians, from their spreads and repetitions: at least 10 % for
    a ratio to a peer, at least 25 % for a value. Exact figures have no noise.
    """
    if new.kind != "timed":
        return FLOORS["exact"]
    errors = [_MEDIAN_ERROR * _relative(figure) / math.sqrt(figure.repetitions) for figure in (old, new)]
    return max(FLOORS["timed" if new.ratio is None else "ratio"], _ERRORS * math.hypot(*errors))


def _changes(suite: str, pairs: list[tuple[Figure, Figure]]) -> Iterator[Change]:
    for old, new in pairs:
        if not new.better or old.beside != new.beside:
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
