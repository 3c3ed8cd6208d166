"""Record of the time that programs and simulations take, for whoever asks where a run's time went.

Where ``NINEFOLD_TIMES`` names a file, each program that ran appends a JSON line to it: ``work`` (what ran, such as
``c++`` or ``pyosys``), ``wall_s`` and ``cpu_s``, its own processor time with that of its children.
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
    """Append a line for work that is done, where a file is named.

    Parameters
    ----------
    work : str
        What ran.
    wall_s, cpu_s : float
        Wall and processor time, in seconds.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps({"work": work, "wall_s": round(wall_s, 4), "cpu_s": round(cpu_s, 4)}) + "\n"
    # One write to a file opened for appending: lines of several processes do not mix.
    with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - this is the hot path of short calls
        file.write(line.encode())


@contextlib.contextmanager
def children(work: str) -> Iterator[None]:
    """Note the processor time of the child processes that end within the block.

    For libraries that run a program by themselves. Children that another thread waits for meanwhile count too.
    """
    began, before = time.perf_counter(), _children_s()
    try:
        yield
    finally:
        note(work, time.perf_counter() - began, _children_s() - before)


@contextlib.contextmanager
def thread(work: str) -> Iterator[None]:
    """Note the processor time of this thread within the block, for native code that runs in this process."""
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
