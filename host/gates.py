"""Quality gates: the fewest bits at which a quality stays near its baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ninefold.spec.errors import InputError

__all__ = ["GATES", "Gate", "GateReport", "Trial", "pass_gates"]


@dataclass(frozen=True)
class Gate:
    """Smallest share of the baseline that a quality must keep at a number of bits."""

    bits: int
    least: float


#: The gates in order.
GATES: Final = (Gate(8, 0.98), Gate(6, 0.96), Gate(4, 0.95))


@dataclass(frozen=True)
class Trial:
    """Quality at one gate.

    Attributes
    ----------
    gate : Gate
        The gate.
    quality : float
        Measured quality.
    share : float
        Quality divided by the baseline.
    passed : bool
        True if the share is at least the gate's.
    """

    gate: Gate
    quality: float
    share: float
    passed: bool


@dataclass(frozen=True)
class GateReport:
    """Result of `pass_gates`.

    Attributes
    ----------
    baseline : float
        Quality without quantisation.
    trials : tuple of Trial
        Trials in order; the last one failed, or there are no more gates.
    bits : int or None
        Fewest bits that passed; None if no gate did.
    stopped : str
        Reason for stopping.
    """

    baseline: float
    trials: tuple[Trial, ...]
    bits: int | None
    stopped: str


def pass_gates(quality: Callable[[int], float], baseline: float, gates: Sequence[Gate] = GATES) -> GateReport:
    """Try fewer and fewer bits, until a quality falls below its gate.

    Parameters
    ----------
    quality : callable
        ``quality(bits) -> float``: accuracy, recall or another quality, of which more is better.
    baseline : float
        Quality without quantisation, above 0.
    gates : sequence of Gate
        Gates in the order of their trials.

    Raises
    ------
    InputError
        The baseline is not a number above 0, or a quality is not finite.
    """
    if not (math.isfinite(baseline) and baseline > 0):
        raise InputError(f"the baseline must be a number above 0, not {baseline!r}")
    trials: list[Trial] = []
    bits = None
    for gate in gates:
        found = float(quality(gate.bits))
        if not math.isfinite(found):
            raise InputError(f"the quality at {gate.bits} bits must be a finite number, not {found!r}")
        trials.append(Trial(gate, found, found / baseline, found >= gate.least * baseline))
        if not trials[-1].passed:
            share, least = trials[-1].share, gate.least
            stopped = f"{gate.bits} bits keep {share:.4f} of the baseline, and the gate is {least:g}"
            return GateReport(baseline, tuple(trials), bits, stopped)
        bits = gate.bits
    return GateReport(baseline, tuple(trials), bits, "no gate is left")
