"""Cases that every backend answers, one module an operator: directed, random and real ones.

A module defines ``cases(generator)``, which yields pairs of a name and a `Call`, or for a stateful operator a
`Sequence` of steps. The same generator seed is used in every run.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ninefold.sim.conformance import Case
from ninefold.spec.errors import InputError
from ninefold.spec.operators import module_of
from ninefold.spec.signature import Call

__all__ = ["calls_of", "cases_of"]

SEED = 20261121


@cache
def cases_of(operator: str) -> dict[str, Case]:
    """Return every case of an operator by name."""
    module = module_of(operator, __name__, "cases")
    if module is None:
        raise InputError(f"{operator} has no cases: add tests/conformance/cases/{operator}.py")
    return dict(module.cases(np.random.default_rng(SEED)))


def calls_of(operator: str) -> dict[str, Call]:
    """Return the cases of an operator without state."""
    return {name: case for name, case in cases_of(operator).items() if isinstance(case, Call)}
