"""Cases that every backend answers, one module an operator: directed, random and real ones.

A module defines ``cases(generator)``, which yields pairs of a name and a `Call`, or for a stateful operator a
`Sequence` of steps.
"""

from __future__ import annotations

from collections.abc import Mapping

from ninefold.sim import conformance
from ninefold.sim.conformance import Case
from ninefold.spec.signature import Call

__all__ = ["calls_of", "cases_of"]


def cases_of(operator: str) -> Mapping[str, Case]:
    """Return every case of an operator by name."""
    return conformance.cases_of(operator, __name__)


def calls_of(operator: str) -> dict[str, Call]:
    """Return the cases of an operator that are single calls."""
    return {name: case for name, case in cases_of(operator).items() if isinstance(case, Call)}
