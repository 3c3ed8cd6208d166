"""Handles of residents, and the states that a scheduler holds with their steps, which run one at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ninefold.spec.data import Database, State
from ninefold.spec.errors import InputError

from .tasks import Pending

__all__ = ["Chain", "DatabaseHandle", "StateHandle", "States"]


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


class States:
    """States that a scheduler holds.

    Parameters
    ----------
    lock : threading.Lock
        Lock of the scheduler.
    start : callable
        ``start(pending)``, called without the lock: start a step when it is due.
    """

    def __init__(self, lock: threading.Lock, start: Callable[[Pending], None]) -> None:
        self._lock = lock
        self._start = start
        self._chains: dict[str, Chain] = {}

    def hold(self, state: State) -> StateHandle:
        """Take over a state; raise `InputError` if its id is already held."""
        with self._lock:
            if state.id in self._chains:
                held = self._chains[state.id].state.version
                raise InputError(f"the state {state.id} is already held, in version {held}")
            chain = self._chains[state.id] = Chain(state)
        return StateHandle(chain)

    def release(self, handle: StateHandle) -> None:
        """Release a state; raise `InputError` while one of its steps runs."""
        with self._lock:
            if handle.chain.current is not None:
                raise InputError(f"the state {handle.state.id} has a running step")
            self._chains.pop(handle.state.id, None)

    def enqueue(self, pending: Pending) -> None:
        """Queue a step; raise `InputError` if its state is not held."""
        with self._lock:
            chain = self._chains.get(pending.call.state().id)
            if chain is None:
                raise InputError(f"the state {pending.call.state().id} is no longer held")
            chain.steps.append(pending)
        self._next(chain)

    def commit(self, state: State) -> None:
        """Make this the current version of a state; call under the lock."""
        self._chains[state.id].state = state

    def ended(self, pending: Pending) -> None:
        """Start the next step if `pending` was the current one."""
        with self._lock:
            chain = self._chains.get(pending.call.state().id)
            if chain is None or chain.current is not pending:
                return
            chain.current = None
        self._next(chain)

    def _next(self, chain: Chain) -> None:
        with self._lock:
            while chain.steps and chain.steps[0].settled:
                chain.steps.popleft()
            if chain.current is not None or not chain.steps:
                return
            chain.current = pending = chain.steps.popleft()
        self._start(pending)
