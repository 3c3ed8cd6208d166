"""Limit of the number of tasks in flight; further tasks wait for a place."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ninefold.spec.errors import InputError

from .work import Pending

if TYPE_CHECKING:
    import asyncio

__all__ = ["Room"]


class Room:
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
        self._closing = False

    def enter(self, pending: Pending, *, wait: bool = True) -> None:
        """Take a place, waiting for a free one if `wait`; raise `InputError` after `close`."""
        with self._lock:
            while self._full() and wait:
                self._changed.wait()
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
        with self._lock:
            left = [pending for pending in ended if pending in self._inside]
            self._inside.difference_update(left)
            waiters = [self._waiting.popleft() for _ in left if self._waiting]
            if self._closing:
                self._changed.notify_all()
            else:
                self._changed.notify(len(left))
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
