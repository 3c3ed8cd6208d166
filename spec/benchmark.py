"""What a benchmark reports; benchmarks are found in the entry-point group ``ninefold.benchmarks``."""

from dataclasses import dataclass
from typing import Final

__all__ = ["BENCHMARKS", "Row"]

#: Each entry is a function ``() -> list[Row]``.
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
