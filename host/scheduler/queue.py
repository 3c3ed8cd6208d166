"""Queue of jobs and errands of one device."""

from __future__ import annotations

import heapq

from ninefold.spec.data import Database

from .batches import JOINED_ROWS
from .work import Job

__all__ = ["Queue"]


class Queue:
    """Jobs by priority, then in order of submission, and errands for idle times. Used under the scheduler's lock.

    Attributes
    ----------
    cost_s : float
        Expected time of all waiting jobs, in seconds.
    errands : dict of str to Database or None
        Key of a resident -> the database to load ahead, or None to drop it.
    """

    def __init__(self) -> None:
        # The interpreter compares tuples faster than a method would compare jobs; no two jobs have equal orders.
        self._heap: list[tuple[tuple[int, int], Job]] = []
        self.cost_s = 0.0
        self.errands: dict[str, Database | None] = {}

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, job: Job) -> None:
        """Add a job."""
        job.queued()
        heapq.heappush(self._heap, (job.order, job))
        self.cost_s += job.cost_s

    def drain(self) -> list[Job]:
        """Remove and return all jobs."""
        jobs, self._heap, self.cost_s = [job for _, job in self._heap], [], 0.0
        return jobs

    def take(self) -> list[Job]:
        """Take the first job that is not cancelled, and the jobs directly after it that can be joined to it."""
        jobs: list[Job] = []
        rows = 0
        while self._heap and rows < JOINED_ROWS:
            job = self._heap[0][1]
            if jobs and not (job.key is not None and job.joins(jobs[0])):
                break
            heapq.heappop(self._heap)
            self.cost_s -= job.cost_s
            if not job.pending.begin():
                continue
            jobs.append(job)
            if job.key is None:
                break
            rows += job.rows
        if not self._heap:
            self.cost_s = 0.0  # removes rounding errors
        return jobs
