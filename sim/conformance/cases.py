"""Cases of a conformance suite: calls, and for a stateful operator sequences of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np

from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.operators import PACKAGES, module_of
from ninefold.spec.signature import Call, Operator

__all__ = ["Case", "Sequence", "Step", "cases_of", "drawn"]

#: Seed of the generator that the functions of cases take.
SEED: Final = 20261121


@dataclass(frozen=True)
class Step:
    """Arguments of one step, without the state, and its options."""

    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sequence:
    """Steps of a stateful operator; the state is judged after each one.

    Attributes
    ----------
    operator : Operator
        Stateful operator.
    state : State
        Version from which the first step starts.
    steps : tuple of Step
        Steps in order.
    """

    operator: Operator
    state: State
    steps: tuple[Step, ...]

    def call(self, state: State, step: Step) -> Call:
        """Return the checked call of a step from a version of the state."""
        return self.operator.bind({**step.arguments, self.operator.state_name: state}, step.options)


Case = Call | Sequence


@cache
def cases_of(operator: str, home: str) -> Mapping[str, Case]:
    """Return every case of an operator by name, the same in every run.

    Parameters
    ----------
    operator : str
        Name of the operator.
    home : str
        Package with one module of cases for each of our operators. Another's operator has its own module ``cases``. The
        module defines ``cases(generator)``, which yields pairs of a name and a case.

    Raises
    ------
    InputError
        There is no such module, or it yields nothing.
    """
    try:
        module = module_of(operator, home, "cases")
    except Exception as error:  # another party's module may raise anything
        raise InputError(f"the cases of {operator} cannot be imported: {type(error).__name__}: {error}") from error
    found = drawn(getattr(module, "cases", lambda _: {}))
    if not found:
        place = f"{PACKAGES.get(operator, home)}.{'cases' if operator in PACKAGES else operator}"
        raise InputError(f"{operator} has no cases: {place} must define cases(generator), which yields names and cases")
    return found


def drawn(cases: Callable[[np.random.Generator], Any]) -> dict[str, Case]:
    """Return the cases that a function yields, by name, the same in every run."""
    return dict(cases(np.random.default_rng(SEED)))
