"""Handles of residents for users."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ninefold.spec.data import Database, State

from .work import Pending

__all__ = ["Chain", "DatabaseHandle", "StateHandle"]


@dataclass(frozen=True, eq=False)
class DatabaseHandle:
    """Handle of a database, for use as an argument of tasks.

    Attributes
    ----------
    database : Database
        The database.
    """

    database: Database


@dataclass(eq=False)
class Chain:
    """State and its steps, which run one at a time.

    Attributes
    ----------
    state : State
        Last committed version.
    steps : deque of Pending
        Waiting steps.
    current : Pending or None
        Running step.
    """

    state: State
    steps: deque[Pending] = field(default_factory=deque)
    current: Pending | None = None


@dataclass(frozen=True, eq=False)
class StateHandle:
    """Handle of a state that a scheduler holds, for use as an argument of tasks.

    Attributes
    ----------
    chain : Chain
        State and steps, managed by the scheduler.
    """

    chain: Chain

    @property
    def state(self) -> State:
        """Last committed version of the state."""
        return self.chain.state
