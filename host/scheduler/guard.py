"""Protection of the scheduler's threads from foreign code: callbacks, hooks, backends and log handlers.

Such code may raise anything, even ``SystemExit`` or ``KeyboardInterrupt``. On a thread of the scheduler this would end
the thread and strand all tasks waiting for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ninefold.spec.errors import DeviceError

__all__ = ["guarded", "in_callback", "is_interrupt", "report", "start_thread", "text_of"]

_LOG = logging.getLogger("ninefold.scheduler")
_Future = TypeVar("_Future")


class _Inside(threading.local):
    """Depth of done-callbacks on the current thread."""

    depth = 0


_inside = _Inside()


def in_callback() -> bool:
    """Return True if a done-callback runs on this thread, which then must not wait for other tasks."""
    return _inside.depth > 0


def is_interrupt(error: BaseException) -> bool:
    """Return True if an error may be the user's Ctrl-C, which Python raises only on the main thread."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def text_of(error: BaseException) -> str:
    """Return the message of an error, even if its ``__str__`` fails."""
    try:
        return str(error)
    except Exception as failure:
        return f"(its message raised {type(failure).__name__})"


def report(message: str, error: BaseException | None = None, /, *, level: int = logging.WARNING, **fields: Any) -> None:
    """Log a record with fields; exceptions of log handlers are dropped, except the user's interrupt.

    If logging is not configured, errors go to standard error, since the user's code has failed.

    Parameters
    ----------
    message : str
        Event.
    error : BaseException, optional
        Cause, logged with its traceback.
    level : int
        Level of the record.
    **fields
        Fields of the record.
    """
    try:
        _LOG.log(level, message, exc_info=error, extra=fields)
        if level >= logging.ERROR and logging.lastResort is not None and not _heard():
            trace = (type(error), error, error.__traceback__) if error is not None else None
            logging.lastResort.handle(logging.LogRecord(_LOG.name, level, "", 0, message, (), trace))
    except BaseException as failure:
        if is_interrupt(failure):
            raise


def _heard() -> bool:
    """Return True if a handler processes records; the package's own handler drops them."""
    logger: logging.Logger | None = _LOG
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def guarded(callback: Callable[[_Future], Any]) -> Callable[[_Future], None]:
    """Return a done-callback that logs the exceptions of the given one.

    `concurrent.futures` logs only an ``Exception``. Any other exception would reach the thread that ends the task and
    prevent later callbacks.
    """

    def call(future: _Future) -> None:
        _inside.depth += 1
        try:
            callback(future)
        except BaseException as error:
            text = f"a done-callback raised {type(error).__name__}: {text_of(error)}"
            report(text, error, level=logging.ERROR, callback=getattr(callback, "__qualname__", repr(callback)))
        finally:
            _inside.depth -= 1

    return call


def start_thread(target: Callable[[], None], name: str, *, daemon: bool = True) -> threading.Thread:
    """Start a thread.

    Raises
    ------
    DeviceError
        The system does not allow another thread.
    """
    thread = threading.Thread(target=target, name=name, daemon=daemon)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        reason = f"no thread can be started ({text_of(error) or type(error).__name__})"
        raise DeviceError(f"{reason}: raise the limit of processes or memory (ulimit -u, ulimit -v)") from error
    return thread
