"""What a worker shares with its scheduler, and reports to it."""

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
    """What a worker shares with its scheduler, and what it reports to it.

    Attributes
    ----------
    lock : threading.Lock
        Guards every queue, breaker and cost; held for short, never during a call.
    clock : callable
        Seconds that only grow.
    costs : Costs
    seen : Seen
    generator : numpy.random.Generator
        Chooses the rows of spot checks, under the lock.
    check_every : int
        One answer of so many is checked, besides trials; 1 checks all.
    watch : callable
        ``watch(time)``, under the lock: wake the supervisor then, or earlier.
    answered : callable
        ``answered(pairs, worker) -> bool``, without the lock, for jobs and their answers: whether a step of a state was
        committed.
    moved : callable
        ``moved(job, worker, error)``, without the lock: the worker did not answer.
    failed : callable
        ``failed(job, error)``, without the lock: the task of a job ends with an error.
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
