"""Terms in which ``faults.py`` of a core describes the faults planted in it, and ``MUTATION`` of its mutants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Assumptions", "Edit", "StreamFaults", "nit_condition"]

#: Dotted name of a module below ``ninefold`` or of another package, a text that occurs once in it, and that text with
#: the fault. In faults that vectors must find, the fault is there where ``FAULT`` is 1.
Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Assumptions:
    """Assumptions of the equivalence proofs of a core's mutants.

    Attributes
    ----------
    legal : tuple of str
        Assumptions on the inputs in every cycle, besides the rules of streams: Verilog expressions of the ports.
    promise : str
        The assumptions in words; empty if there are none.
    large : bool
        Whether the core is too large to prove as a whole, so that registers and memories are cut out.
    """

    legal: tuple[str, ...] = ()
    promise: str = ""
    large: bool = False


@dataclass(frozen=True)
class StreamFaults:
    """Two streams of a core that a wrapper spoils, and the tests of its testbench that must fail.

    Attributes
    ----------
    parameters : mapping of str to Any
        Parameters of the core.
    source, sink : str
        Input and output to spoil.
    seen_by : mapping of str to str
        Test that fails for a fault of ``tests.sim.stream_faults.FAULTS``; ``latency`` for a delay and
        ``sizes_crossed_with_back_pressure`` for all others that are not named.
    without : mapping of str to str
        Reason for each fault that the core hides.
    """

    parameters: Mapping[str, Any]
    source: str
    sink: str
    seen_by: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)


def nit_condition(stream: str, lane: int) -> str:
    """Return the condition that a lane of an offered word is one of the nine nit values."""
    bits = f"{stream}__payload[{4 * lane + 3}:{4 * lane}]"
    return f"(~{stream}__valid | {bits} <= 4 | {bits} >= 12)"
