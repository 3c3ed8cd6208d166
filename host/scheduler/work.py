"""Tasks on their way: the future that a user holds, the task behind it, and its parts on devices."""

from __future__ import annotations

import concurrent.futures
import itertools
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ninefold.spec.data import Answer, Candidate, Result, Task
from ninefold.spec.signature import Call

from .batches import joining_key, rows_of
from .costs import size_class
from .guard import guarded, text_of

if TYPE_CHECKING:
    from .worker import Worker

__all__ = ["AUTO", "Future", "Job", "Pending"]

#: The device name that leaves the choice open.
AUTO: Final = "auto"

_ORDER = itertools.count()
_NEVER: Final[Mapping[str, int]] = MappingProxyType({})


class Future(concurrent.futures.Future[Result]):
    """The answer to come of one task: a `concurrent.futures.Future` that can be awaited too.

    ``result(timeout)`` gives the `Result` or raises what went wrong; ``cancel()`` succeeds while the task waits.
    Callbacks run on the thread that ends the task, mostly that of a device: they must be short. Whatever one raises is
    logged.
    """

    #: The task while it is under way, and what the scheduler does when that is cancelled.
    pending: Pending | None = None
    on_cancel: Callable[[Pending], None] | None = None

    def cancel(self) -> bool:
        """Cancel the task while it waits; return whether it is cancelled."""
        before, done = self.cancelled(), super().cancel()
        pending = self.pending  # another thread may end the task at the same time
        if done and not before and pending is not None and self.on_cancel is not None:
            self.on_cancel(pending)
        return done

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Result]], object]) -> None:
        """Call ``fn(future)`` once the task has ended, at once if it has; what it raises is logged.

        A callback may submit tasks, beyond `queue_size` too, cancel them, and close the scheduler, which then ends on a
        thread of its own. It may not wait for another task.
        """
        super().add_done_callback(guarded(fn))

    def __await__(self) -> Generator[Any, None, Result]:
        import asyncio

        return asyncio.wrap_future(self).__await__()


@dataclass(eq=False, slots=True)
class Pending:
    """A task that has not been answered yet.

    Attributes
    ----------
    task : Task
    call : Call
        As the user made it.
    future : Future
    submitted_s : float
        When, by the scheduler's clock.
    fallbacks : tuple of str
        What each device that did not answer said.
    errors : tuple of Exception
        The same as errors.
    answers : list of Answer or None, or None
        One a part, of a task that was split.
    answered_by : tuple of str
        One a part.
    why : str
        Why the first part went where it went.
    considered : tuple of Candidate
    open_choice : bool
        Whether no device was asked for by name.
    named : Worker or None
        The device asked for by name, where there is one and it is there.
    absent : Exception or None
        Why it is not.
    waited_for : bool
        Whether the thread that starts it has nothing else to do than to wait for its end.
    begun : bool
        Whether a device has begun with it, or with a part of it.
    settled : bool
        Whether the future has been, or is being, given its answer: it gets one.
    outcome : {'answered', 'failed', 'cancelled'}
        How it ended, once it has.
    """

    task: Task
    call: Call
    future: Future
    submitted_s: float
    fallbacks: tuple[str, ...] = ()
    errors: tuple[Exception, ...] = ()
    answers: list[Answer | None] | None = None
    answered_by: tuple[str, ...] = ()
    why: str = ""
    considered: tuple[Candidate, ...] = ()
    open_choice: bool = True
    named: Worker | None = None
    absent: Exception | None = None
    waited_for: bool = False
    begun: bool = False
    settled: bool = False
    outcome: str = "cancelled"

    def begin(self) -> bool:
        """Note that work begins; return False when nobody waits for it any more."""
        if self.settled:
            return False
        self.begun = self.begun or self.future.set_running_or_notify_cancel()
        return self.begun

    def result(self, answer: Answer) -> Result:
        """Return the result that an answer makes."""
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
        """Note that a device did not answer."""
        said = text_of(error)
        self.fallbacks += (said if said.startswith((f"{device} ", f"{device}:")) else f"{device}: {said}",)
        self.errors += (error,)

    def give(self, outcome: Result | BaseException) -> None:
        """Give the future its one answer."""
        try:
            if isinstance(outcome, Result):
                self.future.set_result(outcome)
            else:
                self.future.set_exception(outcome)
        except concurrent.futures.InvalidStateError:
            return  # cancelled in this very moment


class Job:
    """A task, or the part of its rows that one device is to answer.

    Parameters
    ----------
    call : Call
        What a device is to run.
    pending : Pending
        The task.
    part : int
        Which part of the task.

    Attributes
    ----------
    size : str
        Its size class.
    rows : int
        How many rows it has that do not influence each other; 0 where it has none.
    key : hashable or None
        Jobs of equal keys can be joined.
    tried : mapping of str to int
        How often each device has been tried.
    trial : bool
        Whether this is a device's first such call, so that its answer is checked.
    moving : bool
        Whether a device was tried and did not answer.
    cost_s : float
        Expected time on the device where it waits.
    lent : callable or None
        Runs it on the thread that waits for it, where the device was lent to that.
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
        """Work out what else the job can be joined with, which only matters where it waits."""
        rows = rows_of(self.call)
        self.rows, self.key = rows or 0, joining_key(self.call, rows)

    def joins(self, other: Job) -> bool:
        """Whether the two can be run as one call."""
        same = self.moving == other.moving and self.pending.task.timeout_s == other.pending.task.timeout_s
        return same and self.key == other.key
