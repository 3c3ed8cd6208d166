"""Log of the time that programs and simulations take.

If ``NINEFOLD_TIMES`` names a file, each program that ran appends a JSON line to it: ``work`` (its name, such as ``c++``
or ``pyosys``), ``wall_s`` and ``cpu_s``, the processor time of the program and its children.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["VARIABLE", "children", "note", "thread"]

#: Environment variable with the name of the file.
VARIABLE: Final = "NINEFOLD_TIMES"


def note(work: str, wall_s: float, cpu_s: float) -> None:
    """Append a line for finished work, if ``NINEFOLD_TIMES`` names a file.

    Parameters
    ----------
    work : str
        Name of the program or kind of work.
    wall_s, cpu_s : float
        Wall and processor time, in seconds.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps({"work": work, "wall_s": round(wall_s, 4), "cpu_s": round(cpu_s, 4)}) + "\n"
    # One write to a file opened for appending, so that lines of several processes do not mix. A log that cannot be
    # written must not fail the work.
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:  # noqa: PTH123 - hot path of short calls
        file.write(line.encode())


@contextlib.contextmanager
def children(work: str) -> Iterator[None]:
    """Log the processor time of child processes that end within the block.

    For libraries that start programs themselves. Children of other threads that end meanwhile are counted too.
    """
    began, before = time.perf_counter(), _children_s()
    try:
        yield
    finally:
        note(work, time.perf_counter() - began, _children_s() - before)


@contextlib.contextmanager
def thread(work: str) -> Iterator[None]:
    """Log the processor time of this thread within the block, for native code in this process."""
    if VARIABLE not in os.environ:
        yield
        return
    began, before = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        note(work, time.perf_counter() - began, time.thread_time() - before)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
