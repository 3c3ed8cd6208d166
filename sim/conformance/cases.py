"""Cases of a conformance suite: calls, and for a stateful operator sequences of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ninefold.spec.data import State
from ninefold.spec.signature import Call, Operator

__all__ = ["Case", "Sequence", "Step"]


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
