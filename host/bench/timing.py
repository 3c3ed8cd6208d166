"""Interleaved timing of contenders."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.spec.benchmark import Better, Figure, Parameter, summary

__all__ = ["Times", "interleaved"]

#: Rounds that are measured even when the budget is spent: fewer give no useful quartiles.
_LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Times:
    """Times of contenders that took turns.

    Attributes
    ----------
    seconds : mapping of str to sequence of float
        Seconds of each contender, one value a round.
    """

    seconds: Mapping[str, Sequence[float]]

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return len(next(iter(self.seconds.values()), ()))

    def median(self, name: str) -> float:
        """Return the median time of a contender in seconds."""
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
        quantity: str = "time",
        beside: str = "",
        better: Better = "less",
        target: str = "",
        detail: str = "",
        task: str = "",
    ) -> Figure:
        """Return a contender's time in milliseconds, with the ratio to a peer where one is named.

        Parameters
        ----------
        case : str
            Work that was measured.
        name, beside : str
            The contender and its peer.
        parameters : mapping
            Sizes and data.
        quantity, better, target, detail, task : str
            As in `Figure`.
        """
        ratio, ratio_spread = self.ratio(name, beside) if beside else (None, 0.0)
        return Figure.timed(
            case,
            name,
            quantity,
            [seconds * 1e3 for seconds in self.seconds[name]],
            "ms",
            parameters=parameters,
            better=better,
            beside=beside,
            ratio=ratio,
            ratio_spread=ratio_spread,
            target=target,
            detail=detail,
            task=task,
        )


def interleaved(
    contenders: Mapping[str, Callable[[], Any]],
    repetitions: int,
    budget_s: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Time contenders that take turns, so that other load on the machine slows all of them.

    An untimed call precedes each timed call. It leaves time for the previous contender's threads to go to sleep, and
    wakes the contender's own threads.

    Parameters
    ----------
    contenders : mapping of str to callable
        Contenders by name.
    repetitions : int
        Rounds.
    budget_s : float
        Seconds after which no further round starts, once three are complete.
    clock : callable
        Monotonic clock, in seconds.
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
