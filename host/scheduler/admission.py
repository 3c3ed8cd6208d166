"""Admission of tasks: conversion of a user's arguments to a checked task, and the limit of tasks in flight."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec.data import State, Task
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import KINDS
from ninefold.spec.signature import Call, Layout, Operator

from .states import DatabaseHandle, StateHandle
from .tasks import Pending

if TYPE_CHECKING:
    import asyncio

__all__ = ["Admission", "bound", "check_settings", "check_state", "task_of"]

#: Keywords that are settings of the task, not options of the operator.
_SETTINGS: Final = ("device", "strict", "prefer", "priority", "deadline_s", "timeout_s")


def check_settings(task: Task) -> None:
    """Raise `InputError` if a setting of a task is not allowed."""
    if not (isinstance(task.priority, int) and 1 <= task.priority <= 10):
        raise InputError(f"priority must be an integer from 1 to 10, not {task.priority!r}")
    if task.prefer is not None and task.prefer not in KINDS:
        raise InputError(f"prefer must be one of {', '.join(KINDS)}, not {task.prefer!r}")
    if task.deadline_s is None and task.timeout_s is None:
        return
    for name, seconds in (("deadline_s", task.deadline_s), ("timeout_s", task.timeout_s)):
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise InputError(f"{name} must be a number greater than 0, not {seconds!r}")


def task_of(
    operator: str, operators: Mapping[str, Operator], arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Task:
    """Return the task for arguments in the operator's order, and keywords: arguments, options and settings."""
    if (signature := operators.get(operator)) is None:
        raise _unknown(operator, operators)
    names = signature.argument_names
    if len(arguments) > len(names):
        raise InputError(f"{signature.name} takes {len(names)} arguments ({', '.join(names)}), not {len(arguments)}")
    given = dict(zip(names, arguments, strict=False))
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _SETTINGS:
            settings[name] = value
        elif name in given:
            raise InputError(f"{signature.name} was given the argument {name} twice")
        elif name in names:
            given[name] = value
        else:
            options[name] = value
    return Task(signature.name, given, options, **settings)


def check_state(state: State, operators: Mapping[str, Operator]) -> None:
    """Raise `InputError` unless the content of a state is what one of the operators declares.

    The message has the reasons of the operators whose states have the most names of the arrays.
    """
    reasons: dict[Layout, str] = {}
    for name, operator in operators.items():
        if operator.state_name and (layout := operator.layout_of(operator.state_name)) not in reasons:
            try:
                layout.sizes_of(state)
            except InputError as error:
                reasons[layout] = f"{name}: {error}"
            else:
                return
    common = {layout: len({field.name for field in layout.fields} & set(state.arrays)) for layout in reasons}
    nearest = [reason for layout, reason in reasons.items() if common[layout] == max(common.values())]
    why = "; ".join(nearest) or "none takes a state: install the package of its operator, or add it"
    raise InputError(f"no operator takes the state {state.id} ({why})")


def bound(task: Task, operators: Mapping[str, Operator]) -> Call:
    """Bind a task's arguments, with handles replaced by their residents; a state is the last copy on the host."""
    if (signature := operators.get(task.operator)) is None:
        raise _unknown(task.operator, operators)
    arguments = task.arguments
    for name in signature.residents:
        value = arguments.get(name)
        if isinstance(value, DatabaseHandle):
            arguments = {**arguments, name: value.database}
        elif isinstance(value, StateHandle):
            arguments = {**arguments, name: value.chain.copy}
        elif isinstance(value, State):
            raise InputError(f"{signature.name} takes {name} by handle: load the state {value.id} first")
    return signature.bind(arguments, task.options)


def _unknown(name: str, operators: Mapping[str, Operator]) -> InputError:
    return InputError(f"operator must be one of {', '.join(operators)}, not {name!r}")


class Admission:
    """Bounded number of places, for threads and coroutines alike.

    Parameters
    ----------
    lock : threading.Lock
        Lock of the scheduler.
    size : int
        Number of places.
    """

    def __init__(self, lock: threading.Lock, size: int) -> None:
        self._lock = lock
        self._size = size
        self._inside: set[Pending] = set()
        self._changed = threading.Condition(lock)
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._blocked = 0  # threads in `enter`
        self._closing = False

    def enter(self, pending: Pending, *, wait: bool = True) -> None:
        """Take a place, waiting for a free one if `wait`; raise `InputError` after `close`."""
        with self._lock:
            while (self._closing or len(self._inside) >= self._size) and self._full() and wait:
                self._blocked += 1
                self._changed.wait()
                self._blocked -= 1
            self._inside.add(pending)

    def admit(self, pending: Pending) -> None:
        """Give a place to a task of the scheduler's own, even at the limit and after `close`; call under the lock."""
        self._inside.add(pending)

    def enter_or_queue(self, pending: Pending) -> asyncio.Future[None] | None:
        """Take a place, or return a future to await before trying again."""
        import asyncio

        loop = asyncio.get_running_loop()
        with self._lock:
            if self._full():
                turn = loop.create_future()
                self._waiting.append((loop, turn))
                return turn
            self._inside.add(pending)
        return None

    def leave(self, ended: Sequence[Pending]) -> list[Pending]:
        """Release places and wake waiting tasks; return the tasks that still had a place."""
        left, waiters = [], []
        with self._lock:
            for pending in ended:
                if pending in self._inside:
                    self._inside.remove(pending)
                    left.append(pending)
                    if self._waiting:
                        waiters.append(self._waiting.popleft())
            if self._closing:
                self._changed.notify_all()
            elif self._blocked:
                self._changed.notify(len(left))
        if waiters:
            self._wake(waiters)
        return left

    def close(self) -> list[Pending]:
        """Refuse new tasks; return the tasks that have a place."""
        with self._lock:
            self._closing = True
            inside, waiters = list(self._inside), list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        self._wake(waiters)
        return inside

    def wait_until_empty(self, patience_s: float | None) -> None:
        """Wait until all places are free, or the time is up."""
        with self._lock:
            self._changed.wait_for(lambda: not self._inside, patience_s)

    def _full(self) -> bool:
        if self._closing:
            raise InputError("the scheduler is closed")
        return len(self._inside) >= self._size

    def _wake(self, waiters: Sequence[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]) -> None:
        for loop, turn in waiters:
            with contextlib.suppress(RuntimeError):  # its event loop was closed
                loop.call_soon_threadsafe(self._offer, turn)

    def _offer(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_result(None)
            return
        with self._lock:  # it was cancelled, so wake the next one
            waiters = [self._waiting.popleft()] if self._waiting else []
        self._wake(waiters)
