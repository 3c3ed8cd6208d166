"""Processes that judge faults at the same time, and end with the command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from types import FrameType

__all__ = ["workers"]


@contextmanager
def workers(number: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes. If the block is left by an exception, their calls and tools are ended.

    Parameters
    ----------
    number : int
        Number of processes.
    """
    # A fork of a process with a progress thread may wait for that thread forever.
    with ProcessPoolExecutor(number, get_context("spawn"), _prepare) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # A signal to this process alone, unlike Ctrl-C, does not reach them.
            for process in active_children():
                process.terminate()
            raise


def _prepare() -> None:
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, _frame: FrameType | None) -> None:
    # An exception, so that the call ends its tools.
    sys.exit(128 + number)
