"""What a benchmark reports; benchmarks are found in the entry-point group ``ninefold.benchmarks``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["BENCHMARKS", "Benchmark", "Row"]

#: Each entry is a function ``() -> list[Row]``, or a `Benchmark`.
BENCHMARKS: Final = "ninefold.benchmarks"


@dataclass(frozen=True)
class Row:
    """One figure of a benchmark.

    Attributes
    ----------
    name : str
        What was measured, parameters included.
    value : float
        The figure: a median where it was timed.
    unit : str
        Its unit; ``"x"`` for a ratio to the peer.
    target : str
        What it should be, e.g. ``"<= 0.75"``; empty where there is no target.
    peer : str
        Beside whom it was measured in the same run; empty for absolute figures.
    detail : str
        The underlying figures, in words.
    """

    name: str
    value: float
    unit: str
    target: str = ""
    peer: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark that can tell, before any is run, whether all that it needs is there.

    Attributes
    ----------
    measure : callable
        ``measure()`` returns the figures.
    check : callable
        ``check()`` raises `UnavailableError` when something is missing; what it returns has no meaning. It is quick.
    """

    measure: Callable[[], list[Row]]
    check: Callable[[], object]

    def __call__(self) -> list[Row]:
        """Measure."""
        return self.measure()
