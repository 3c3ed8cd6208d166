"""Handles of residents, and the states that a scheduler holds: their versions, steps and reads.

Of a state that its device keeps, the host has the last copy and a log of the steps since. A step or read takes the last
committed version: a `LoggedState` if only a device has it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ninefold.numerics.states import read_only, save_state
from ninefold.spec.data import Database, Kept, State
from ninefold.spec.errors import DeviceError, InputError, NinefoldError
from ninefold.spec.signature import Call

from .guard import in_callback, report, text_of
from .residents import COPY, LoggedState, kept_after
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
    """State with the tasks that take it. A step runs alone; consecutive reads may run together.

    Attributes
    ----------
    latest : State
        Last committed version, a `LoggedState` if the host has no copy of it.
    waiting : deque of Pending
        Steps and reads that are not due yet.
    running : set of Pending
        The running step, or the running reads.
    """

    latest: State
    waiting: deque[Pending] = field(default_factory=deque)
    running: set[Pending] = field(default_factory=set)

    @property
    def copy(self) -> State:
        """Last version of which the host has a copy."""
        return self.latest.copy if isinstance(self.latest, LoggedState) else self.latest


@dataclass(frozen=True, eq=False)
class StateHandle:
    """Handle of a state that a scheduler holds, for use as an argument of tasks.

    Attributes
    ----------
    chain : Chain
        Versions and tasks, managed by the scheduler.
    """

    chain: Chain = field(repr=False)
    _states: States = field(repr=False)

    @property
    def state(self) -> State:
        """Last committed version of the state, copied from its device if necessary.

        Raises
        ------
        DeviceError
            The device was lost and no other could repeat the steps since the last copy. The message names the lost
            versions; afterwards this is the last copy.
        InputError
            In a done-callback, which must not wait for a device, if the host has no copy of the version.
        """
        return self._states.copied(self.chain)

    def save(self, path: str | Path) -> None:
        """Write the last committed version to a file, which `load_state` reads; see `ninefold.numerics.states`."""
        save_state(self.state, path)


class States:
    """States that a scheduler holds.

    Parameters
    ----------
    lock : threading.Lock
        Lock of the scheduler.
    start : callable
        ``start(pending, state)``, called without the lock: start a step or read with that version, which is due.
    needs_copy : callable
        ``needs_copy(pending, state) -> bool``, called under the lock: True if a step or read needs a copy of the state
        on the host before it starts.
    admit : callable
        ``admit(call, needed_by) -> Pending``, called under the lock: admit a task of the scheduler's own. If it fails,
        the task that needs it fails with the same error.
    """

    def __init__(
        self,
        lock: threading.Lock,
        start: Callable[[Pending, State], None],
        needs_copy: Callable[[Pending, LoggedState], bool],
        admit: Callable[[Call, Pending | None], Pending],
    ) -> None:
        self._lock = lock
        self._start = start
        self._needs_copy = needs_copy
        self._admit = admit
        self._chains: dict[str, Chain] = {}

    def hold(self, state: State) -> StateHandle:
        """Take over a state; raise `InputError` if its id is already held."""
        with self._lock:
            if state.id in self._chains:
                held = self._chains[state.id].latest.version
                raise InputError(f"the state {state.id} is already held, in version {held}")
            chain = self._chains[state.id] = Chain(read_only(state))
        return StateHandle(chain, self)

    def release(self, handle: StateHandle) -> None:
        """Release a state; raise `InputError` while a step or read of it runs."""
        with self._lock:
            if handle.chain.running:
                raise InputError(f"the state {handle.chain.latest.id} has a running step or read")
            self._chains.pop(handle.chain.latest.id, None)

    def latest(self, pending: Pending) -> State:
        """Return the last committed version of a task's state; raise `InputError` if it is not held."""
        with self._lock:
            return self._chain(pending).latest

    def enqueue(self, pending: Pending) -> None:
        """Queue a step or read; raise `InputError` if its state is not held."""
        with self._lock:
            chain = self._chain(pending)
            chain.waiting.append(pending)
        self._next(chain)

    def _chain(self, pending: Pending) -> Chain:
        key = pending.call.state().id
        if key not in self._chains:
            raise InputError(f"the state {key} is no longer held")
        return self._chains[key]

    def commit(self, call: Call, state: State | Kept) -> None:
        """Make the result of a step the current version of its state; call under the lock.

        Parameters
        ----------
        call : Call
            Step; its arrays are not changed later.
        state : State or Kept
            Next version, or the fact that the device keeps it.
        """
        chain = self._chains[state.id]
        if isinstance(state, State):
            # A later step that writes to its arguments must not change a version that was committed.
            chain.latest = read_only(state)
        else:
            chain.latest = kept_after(chain.latest, call)

    def keep_copy(self, state: State) -> None:
        """Note a copy of a version; call under the lock."""
        chain = self._chains.get(state.id)
        if chain is not None and chain.latest.version == state.version:
            chain.latest = read_only(state)

    def lose(self, state: LoggedState, error: Exception) -> DeviceError:
        """Return to the last copy, since no device can rebuild a version; return the error that says so.

        Call under the lock.
        """
        chain = self._chains.get(state.id)
        if chain is not None and chain.latest is state:
            chain.latest = state.copy
        made = DeviceError(
            f"{state.versions} lost: no device could repeat the steps after version {state.copy.version}; {error}"
        )
        made.__cause__ = error
        return made

    def copied(self, chain: Chain, timeout_s: float | None = None) -> State:
        """Return the last committed version, copied from its device if necessary; see `StateHandle.state`.

        Raises
        ------
        TimeoutError
            The copy took longer than `timeout_s`, if that is given.
        """
        with self._lock:
            if not isinstance(chain.latest, LoggedState):
                return chain.latest
            if in_callback():
                raise InputError(f"a done-callback may not wait for a copy of the state {chain.latest.id}")
            copy = self._copy_first(chain)
        self._next(chain)
        copy.promise().result(timeout_s)
        return chain.copy

    def copy_all(self, patience_s: float | None) -> None:
        """Copy the states that only devices hold, before these are closed; report versions that are lost."""
        until = None if patience_s is None else time.monotonic() + patience_s
        with self._lock:
            chains = [chain for chain in self._chains.values() if isinstance(chain.latest, LoggedState)]
        for chain in chains:
            try:
                self.copied(chain, None if until is None else max(until - time.monotonic(), 0.0))
            except (NinefoldError, TimeoutError) as error:
                with self._lock:
                    lost = self.lose(chain.latest, error) if isinstance(chain.latest, LoggedState) else error
                report(text_of(lost), state=chain.latest.id)

    def ended(self, pending: Pending) -> None:
        """Start what is due after the end of a step or read."""
        with self._lock:
            chain = self._chains.get(pending.call.state().id)
            if chain is None or pending not in chain.running:
                return
            chain.running.remove(pending)
        self._next(chain)

    def _copy_first(self, chain: Chain, needed_by: Pending | None = None) -> Pending:
        """Queue a copy of a state before all other tasks of the state."""
        pending = self._admit(Call(COPY, {"state": chain.latest}, {}, {}), needed_by)
        chain.waiting.appendleft(pending)
        return pending

    def _next(self, chain: Chain) -> None:
        """Start the first waiting step, or all reads before it, unless a running task excludes them."""
        due: list[tuple[Pending, State]] = []
        with self._lock:
            while chain.waiting:
                first, latest = chain.waiting[0], chain.latest
                if first.settled:
                    chain.waiting.popleft()
                    continue
                if any(map(_alone, chain.running)) or (chain.running and _alone(first)):
                    break
                copying = first.call.operator is COPY
                if isinstance(latest, LoggedState) and not copying and self._needs_copy(first, latest):
                    self._copy_first(chain, first)
                    continue
                chain.running.add(chain.waiting.popleft())
                due.append((first, latest))
        for pending, state in due:
            self._start(pending, state)


def _alone(pending: Pending) -> bool:
    """Return True for a step and for a copy, which run alone."""
    return pending.call.operator.stateful or pending.call.operator is COPY
