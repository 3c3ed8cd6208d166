"""Tasks in flight: the user's future, the task behind it, its parts on devices, and the queue of one device."""

from __future__ import annotations

import concurrent.futures
import heapq
import itertools
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ninefold.spec.data import Answer, Candidate, Database, Result, Task
from ninefold.spec.signature import Call

from .batching import JOINED_ROWS, joining_key, rows_of
from .costs import size_class
from .guard import guarded, text_of

__all__ = ["AUTO", "Future", "Job", "Pending", "Queue"]

#: Device name that leaves the choice open.
AUTO: Final = "auto"

_ORDER = itertools.count()
_NEVER: Final[Mapping[str, int]] = MappingProxyType({})


class Future(concurrent.futures.Future[Result]):
    """Future answer of one task: a `concurrent.futures.Future` that can also be awaited.

    ``result(timeout)`` returns the `Result` or raises the error; ``cancel()`` succeeds while the task waits. Callbacks
    run on the thread that ends the task, usually a device's, so they must be short. Their exceptions are logged.
    """

    #: Task while it is in flight, and the scheduler's callback for its cancellation.
    pending: Pending | None = None
    on_cancel: Callable[[Pending], None] | None = None

    def cancel(self) -> bool:
        """Cancel the task while it waits; return True if it is cancelled."""
        before, done = self.cancelled(), super().cancel()
        pending = self.pending  # another thread may end the task at the same time
        if done and not before and pending is not None and self.on_cancel is not None:
            self.on_cancel(pending)
        return done

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Result]], object]) -> None:
        """Call ``fn(future)`` after the task has ended; its exceptions are logged.

        A callback may submit tasks, even beyond `queue_size`, cancel them, and close the scheduler, which then ends on
        its own thread. It must not wait for another task.
        """
        super().add_done_callback(guarded(fn))

    def __await__(self) -> Generator[Any, None, Result]:
        import asyncio

        return asyncio.wrap_future(self).__await__()


@dataclass(eq=False, slots=True)
class Pending:
    """Task without an answer yet.

    Attributes
    ----------
    task : Task
    call : Call
        The user's call.
    submitted_s : float
        Time of submission, by the scheduler's clock.
    on_cancel : callable
        ``on_cancel(pending)`` is called when the user cancels the task.
    future : Future or None
        Future, from the first `promise` on.
    fallbacks : tuple of str
        Messages of the devices that did not answer.
    errors : tuple of Exception
        The same as exceptions.
    answers : list of Answer or None, or None
        One answer for each part of a split task.
    answered_by : tuple of str
        One device for each part.
    why : str
        Reason for the device of the first part.
    considered : tuple of Candidate
    open_choice : bool
        True if no device was asked for by name.
    named : str or None
        Device asked for by name, if it is available.
    absent : Exception or None
        Reason that it is not available.
    needs_content : bool
        True if the host needs the content of the task's state.
    needed_by : Pending or None
        Task of a user that fails if this one, of the scheduler's own, fails.
    waited_for : bool
        True if the thread that starts the task only waits for its end.
    begun : bool
        True if a device has started the task or a part of it.
    settled : bool
        True if the future has been, or is being, given its only answer.
    outcome : {'answered', 'failed', 'cancelled'}
        Outcome of the task after its end.
    given : Result, BaseException or None
        Its result or error after its end.
    """

    task: Task
    call: Call
    submitted_s: float
    on_cancel: Callable[[Pending], None]
    future: Future | None = None
    fallbacks: tuple[str, ...] = ()
    errors: tuple[Exception, ...] = ()
    answers: list[Answer | None] | None = None
    answered_by: tuple[str, ...] = ()
    why: str = ""
    considered: tuple[Candidate, ...] = ()
    open_choice: bool = True
    named: str | None = None
    absent: Exception | None = None
    needs_content: bool = False
    needed_by: Pending | None = None
    waited_for: bool = False
    begun: bool = False
    settled: bool = False
    outcome: str = "cancelled"
    given: Result | BaseException | None = None

    def promise(self) -> Future:
        """Return the future of the task.

        A task that ends on the thread that waits for it needs none, which saves time. The thread that starts a task
        calls this before any other thread may need the future.
        """
        if (future := self.future) is None:
            future = Future()
            future.pending, future.on_cancel = self, self.on_cancel
            if self.begun:
                future.set_running_or_notify_cancel()
            self.future = future
            if self.given is not None:
                future.pending = None
                self.give(self.given)
        return future

    def begin(self) -> bool:
        """Note the start of work; return False if the task has already ended."""
        if self.settled:
            return False
        self.begun = self.begun or self.future is None or self.future.set_running_or_notify_cancel()
        return self.begun

    def result(self, answer: Answer) -> Result:
        """Return the result with the values of `answer`."""
        by = self.answered_by
        return Result(
            answer.values,
            answer.path,
            answer.metrics,
            answer.state,
            self.task.device or AUTO,
            by[0] if len(by) == 1 else ", ".join(sorted(set(by))),
            self.why,
            self.considered,
            self.fallbacks,
        )

    def note(self, device: str, error: Exception) -> None:
        """Record that a device did not answer."""
        said = text_of(error)
        self.fallbacks += (said if said.startswith((f"{device} ", f"{device}:")) else f"{device}: {said}",)
        self.errors += (error,)

    def give(self, outcome: Result | BaseException) -> None:
        """Give the future, if there is one, its one answer."""
        self.given = outcome
        if self.future is None:
            return
        try:
            if isinstance(outcome, Result):
                self.future.set_result(outcome)
            else:
                self.future.set_exception(outcome)
        except concurrent.futures.InvalidStateError:
            return  # cancelled at the same time


class Job:
    """Task, or the part of its rows for one device.

    Parameters
    ----------
    call : Call
        Call for the device.
    pending : Pending
        Task.
    part : int
        Index of the part of the task.

    Attributes
    ----------
    size : str
        Size class of the call.
    rows : int
        Number of independent rows; 0 if rows cannot be separated.
    key : hashable or None
        Jobs of equal keys can be joined.
    tried : mapping of str to int
        Number of attempts on each device.
    trial : bool
        True if this is the device's first such call, so that its answer is checked.
    moving : bool
        True if a device was tried and did not answer.
    cost_s : float
        Expected time on the device, in seconds.
    lent : callable or None
        Function that runs the job on the waiting thread, if the device was lent to it.
    """

    __slots__ = (
        "call",
        "cost_s",
        "key",
        "lent",
        "moving",
        "order",
        "part",
        "pending",
        "rows",
        "size",
        "trial",
        "tried",
    )

    def __init__(self, call: Call, pending: Pending, part: int = 0) -> None:
        self.call = call
        self.pending = pending
        self.part = part
        self.size = size_class(call)
        self.rows = 0
        self.key: Hashable | None = None
        self.tried: Mapping[str, int] = _NEVER
        self.trial = False
        self.moving = False
        self.cost_s = 0.0
        self.lent: Callable[[], None] | None = None
        self.order = (-pending.task.priority, next(_ORDER))

    def queued(self) -> None:
        """Compute the joining key, which is needed only in a queue."""
        rows = rows_of(self.call)
        self.rows, self.key = rows or 0, joining_key(self.call, rows)

    def joins(self, other: Job) -> bool:
        """Return True if the two can be run as one call."""
        same = self.moving == other.moving and self.pending.task.timeout_s == other.pending.task.timeout_s
        return same and self.key == other.key


class Queue:
    """Jobs by priority, then in order of submission, and errands. Used under the scheduler's lock.

    Attributes
    ----------
    waiting : list of (tuple, Job)
        Jobs as a heap.
    cost_s : float
        Expected time of all waiting jobs, in seconds.
    errands : dict of str to Database or None
        Key of a resident -> the database to load ahead, or None to drop it.
    """

    def __init__(self) -> None:
        # The interpreter compares tuples faster than a method would compare jobs; no two jobs have equal orders.
        self.waiting: list[tuple[tuple[int, int], Job]] = []
        self.cost_s = 0.0
        self.errands: dict[str, Database | None] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def put(self, job: Job) -> None:
        """Add a job."""
        job.queued()
        heapq.heappush(self.waiting, (job.order, job))
        self.cost_s += job.cost_s

    def drain(self) -> list[Job]:
        """Remove and return all jobs."""
        jobs, self.waiting, self.cost_s = [job for _, job in self.waiting], [], 0.0
        return jobs

    def take_errand(self) -> tuple[str, Database | None] | None:
        """Take an errand that is due: one that drops a resident, or if no job waits, any."""
        for key, database in self.errands.items():
            if database is None or not self.waiting:
                del self.errands[key]
                return key, database
        return None

    def take(self) -> list[Job]:
        """Take the first job that is not cancelled, and the jobs directly after it that can be joined to it."""
        jobs: list[Job] = []
        rows = 0
        while self.waiting and rows < JOINED_ROWS:
            job = self.waiting[0][1]
            if jobs and not (job.key is not None and job.joins(jobs[0])):
                break
            heapq.heappop(self.waiting)
            self.cost_s -= job.cost_s
            if not job.pending.begin():
                continue
            jobs.append(job)
            if job.key is None:
                break
            rows += job.rows
        if not self.waiting:
            self.cost_s = 0.0  # removes rounding errors
        return jobs
