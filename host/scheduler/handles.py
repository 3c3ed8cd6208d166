"""What a user holds of a resident."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ninefold.spec.data import Database, State

from .work import Pending

__all__ = ["Chain", "DatabaseHandle", "StateHandle"]


@dataclass(frozen=True, eq=False)
class DatabaseHandle:
    """A database that was handed to a scheduler; stands for it among the arguments of a task.

    Attributes
    ----------
    database : Database
    """

    database: Database


@dataclass(eq=False)
class Chain:
    """A state and its steps, which run one after the other.

    Attributes
    ----------
    state : State
        The version that was committed last.
    steps : deque of Pending
        The steps that wait for it.
    current : Pending or None
        The step that is under way.
    """

    state: State
    steps: deque[Pending] = field(default_factory=deque)
    current: Pending | None = None


@dataclass(frozen=True, eq=False)
class StateHandle:
    """A state that is held by a scheduler; stands for it among the arguments of a task.

    Attributes
    ----------
    chain : Chain
        Its steps; the scheduler's.
    """

    chain: Chain

    @property
    def state(self) -> State:
        """The version that was committed last."""
        return self.chain.state
