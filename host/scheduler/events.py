"""Interface between workers and their scheduler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.errors import InterruptError

from .costs import Costs
from .seen import Seen
from .work import Job

if TYPE_CHECKING:
    from .worker import Worker

__all__ = ["Events"]


@dataclass(frozen=True)
class Events:
    """Objects that a worker shares with its scheduler, and callbacks for its reports.

    Attributes
    ----------
    lock : threading.Lock
        Lock that guards every queue, breaker and cost; held briefly, never during a call.
    clock : callable
        Monotonic clock in seconds.
    costs : Costs
        Measured times.
    seen : Seen
        Telemetry.
    generator : numpy.random.Generator
        Generator that chooses the rows of spot checks, used under the lock.
    check_every : int
        Check one in this number of answers, in addition to trials; 1 checks all.
    watch : callable
        ``watch(time)``, called under the lock: wake the supervisor at that time or earlier.
    answered : callable
        ``answered(pairs, worker) -> bool``, called without the lock with jobs and their answers: returns True if a step
        of a state was committed.
    moved : callable
        ``moved(job, worker, error)``, called without the lock: the worker did not answer.
    failed : callable
        ``failed(job, error)``, called without the lock: the task of a job ends with an error.
    """

    lock: threading.Lock
    clock: Callable[[], float]
    costs: Costs
    seen: Seen
    generator: np.random.Generator
    check_every: int
    watch: Callable[[float], None]
    answered: Callable[[list[tuple[Job, Answer]], Worker], bool]
    moved: Callable[[Job, Worker, Exception | InterruptError], None]
    failed: Callable[[Job, Exception], None]
