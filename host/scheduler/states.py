"""States and their steps: one after the other, each from the version that the one before committed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ninefold.spec.data import State
from ninefold.spec.errors import InputError

from .handles import Chain, StateHandle
from .work import Pending

__all__ = ["States"]


class States:
    """The states that a scheduler holds.

    Parameters
    ----------
    lock : threading.Lock
        The scheduler's.
    start : callable
        ``start(pending)``, without the lock: begin a step, whose turn it is.
    """

    def __init__(self, lock: threading.Lock, start: Callable[[Pending], None]) -> None:
        self._lock = lock
        self._start = start
        self._chains: dict[str, Chain] = {}

    def hold(self, state: State) -> StateHandle:
        """Take a state over; raise `InputError` when one of that id is held already."""
        with self._lock:
            if state.id in self._chains:
                held = self._chains[state.id].state.version
                raise InputError(f"the state {state.id} is held already, in version {held}")
            chain = self._chains[state.id] = Chain(state)
        return StateHandle(chain)

    def release(self, handle: StateHandle) -> None:
        """Let go of a state; raise `InputError` while a step is under way."""
        with self._lock:
            if handle.chain.current is not None:
                raise InputError(f"the state {handle.state.id} has a step under way")
            self._chains.pop(handle.state.id, None)

    def enqueue(self, pending: Pending) -> None:
        """Let a step wait for its turn; raise `InputError` when its state is not held."""
        with self._lock:
            chain = self._chains.get(pending.call.state().id)
            if chain is None:
                raise InputError(f"the state {pending.call.state().id} is not held any more")
            chain.steps.append(pending)
        self._next(chain)

    def commit(self, state: State) -> None:
        """Under the lock: this is the version from now on."""
        self._chains[state.id].state = state

    def ended(self, pending: Pending) -> None:
        """Begin the next step if this one had its turn."""
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
