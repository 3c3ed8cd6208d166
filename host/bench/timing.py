"""Timing contenders in turn."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.spec.benchmark import Better, Figure, Parameter, summary

__all__ = ["Times", "interleaved"]

#: Rounds that are taken whatever the time: fewer have no quartiles to speak of.
_LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Times:
    """What contenders took, in turn.

    Attributes
    ----------
    seconds : mapping of str to sequence of float
        Of each contender, one a round.
    """

    seconds: Mapping[str, Sequence[float]]

    @property
    def rounds(self) -> int:
        """How often each had its turn."""
        return len(next(iter(self.seconds.values()), ()))

    def median(self, name: str) -> float:
        """Return the median seconds of a contender."""
        return summary(self.seconds[name])[0]

    def ratio(self, name: str, peer: str) -> tuple[float, float]:
        """Return the ratio of the medians, and the spread of the ratios of each round."""
        rounds = [mine / its for mine, its in zip(self.seconds[name], self.seconds[peer], strict=True)]
        return self.median(name) / self.median(peer), summary(rounds)[1]

    def figure(
        self,
        case: str,
        name: str,
        parameters: Mapping[str, Parameter],
        *,
        beside: str = "",
        better: Better = "less",
        target: str = "",
        detail: str = "",
    ) -> Figure:
        """Return a contender's time in milliseconds, beside another one's where that is named.

        Parameters
        ----------
        case : str
            What was done.
        name, beside : str
            Contenders.
        parameters : mapping
            Sizes and data.
        better, target, detail : str
            As in `Figure`.
        """
        ratio, ratio_spread = self.ratio(name, beside) if beside else (None, 0.0)
        return Figure.timed(
            case,
            name,
            "time",
            [seconds * 1e3 for seconds in self.seconds[name]],
            "ms",
            parameters=parameters,
            better=better,
            beside=beside,
            ratio=ratio,
            ratio_spread=ratio_spread,
            target=target,
            detail=detail,
        )


def interleaved(
    contenders: Mapping[str, Callable[[], Any]],
    repetitions: int,
    budget_s: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Time contenders that take turns, so that a busy machine is busy for all.

    Before each timed call runs an untimed one: the waiting threads of whoever ran before have gone to sleep by then,
    and its own are awake.

    Parameters
    ----------
    contenders : mapping of str to callable
        Who takes part.
    repetitions : int
        Rounds.
    budget_s : float
        No further round begins after so many seconds, once there are three.
    clock : callable
        Seconds that only grow.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    began = clock()
    for done in range(repetitions):
        if done >= _LEAST_ROUNDS and clock() - began >= budget_s:
            break
        for name, function in contenders.items():
            function()
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return Times(seconds)
