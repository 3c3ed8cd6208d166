"""What travels: databases and states (residents), tasks, answers and results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .errors import InputError

__all__ = ["Answer", "Candidate", "Database", "Result", "State", "Task"]


@dataclass(frozen=True, eq=False)
class Database:
    """Immutable data that a device loads once and then uses by handle.

    Attributes
    ----------
    arrays : mapping of str to array
        C-contiguous arrays, in memory or memory-mapped. ``mine`` needs ``"nits"``, uint8 of shape
        (rows, ceil(dimensions / 2)), packed; ``"vectors"``, float16 of shape (rows, dimensions), allows reranking.
    attributes : mapping of str to int, float or str
        ``mine`` needs ``rows``, ``dimensions``, ``scale`` and ``mode``.
    known_digest : str
        The digest, where it is already known from a manifest; computed from the content otherwise.
    """

    arrays: Mapping[str, Any] = field(repr=False)
    attributes: Mapping[str, int | float | str]
    known_digest: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, dtypes, shapes, bytes and attributes, in hexadecimal."""
        return self.known_digest or content_digest(self.arrays, self.attributes)

    @property
    def nbytes(self) -> int:
        """Size of all arrays in bytes."""
        return sum(int(a.nbytes) for a in self.arrays.values())

    def require(self, name: str) -> Any:
        """Return the array `name`; raise `InputError` naming what there is when it is missing."""
        if name not in self.arrays:
            raise InputError(f"the database has no {name!r}, only {', '.join(self.arrays) or 'nothing'}")
        return self.arrays[name]


@dataclass(frozen=True, eq=False)
class State:
    """One version of the state of a stateful operator; the host commits versions in order.

    Attributes
    ----------
    id : str
        Names the state over all its versions.
    version : int
        0 for the first, then one more each committed step.
    arrays, attributes : mapping
        The content, as in `Database`.
    """

    id: str
    version: int
    arrays: Mapping[str, Any] = field(repr=False)
    attributes: Mapping[str, int | float | str] = field(default_factory=dict)

    def next(self, arrays: Mapping[str, Any], attributes: Mapping[str, int | float | str] | None = None) -> State:
        """Return the following version with new content."""
        return State(self.id, self.version + 1, arrays, self.attributes if attributes is None else attributes)


@dataclass(slots=True)
class Task:
    """One operator to run.

    Attributes
    ----------
    operator : str
        Name of the operator.
    arguments, options : mapping
        As `Operator.bind` takes them.
    device : str or None
        Device asked for, ``backend[:instance]``; None or ``"auto"`` leaves the choice open.
    strict : bool
        Fail rather than answer from another device.
    prefer : str or None
        Class of device (`Found.kind`) to be preferred where the choice is open.
    priority : int
        1 (lowest) to 10.
    deadline_s : float or None
        Seconds from submission after which the answer is of no use.
    timeout_s : float or None
        How long the device that the task goes to first may take before it counts as hung; the device's own figure
        (`Found.timeout_s`) where None.
    """

    operator: str
    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    strict: bool = False
    prefer: str | None = None
    priority: int = 5
    deadline_s: float | None = None
    timeout_s: float | None = None


@dataclass(slots=True)
class Answer:
    """What a device returns for a `Call`.

    Attributes
    ----------
    values : mapping of str to array
        By result name.
    path : str
        How it was computed, e.g. ``"avx2"`` or ``"verilator 5.048"``.
    metrics : mapping of str to float
        Counts and times, unit in the name: ``cycles``, ``seconds``, ``spikes``.
    state : State or None
        The next version, from a stateful operator.
    """

    values: Mapping[str, Any]
    path: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    state: State | None = None


@dataclass(frozen=True)
class Candidate:
    """A device that was considered for a task.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    score : float
        What decides while nothing has been measured.
    run_s : float or None
        Measured time of such a call, transfer included; None where there is no measurement yet.
    load_s : float
        Expected time to bring residents that are not there yet; 0 where they all are.
    wait_s : float
        Expected time until the device is free.
    refused : str
        Why it could not be taken; empty where it could.
    """

    device: str
    score: float
    run_s: float | None = None
    load_s: float = 0.0
    wait_s: float = 0.0
    refused: str = ""

    @property
    def completion_s(self) -> float | None:
        """Expected time until the answer, or None where nothing was measured."""
        return None if self.run_s is None else self.wait_s + self.load_s + self.run_s


@dataclass(slots=True)
class Result(Answer):
    """An `Answer` with who was asked, who answered and why.

    Attributes
    ----------
    asked_for : str
        The device asked for, or ``"auto"``.
    answered_by : str
        The device that answered; several, with commas, where a batch was split.
    why : str
        Why that one.
    considered : tuple of Candidate
        The devices between which the scheduler chose; empty where one was asked for by name.
    fallbacks : tuple of str
        What each device that was tried and did not answer said, in order: ``"device: reason"``.
    """

    asked_for: str = "auto"
    answered_by: str = ""
    why: str = ""
    considered: tuple[Candidate, ...] = ()
    fallbacks: tuple[str, ...] = ()


def content_digest(arrays: Mapping[str, Any], attributes: Mapping[str, int | float | str]) -> str:
    """Return the SHA-256 of named C-contiguous arrays and attributes, in hexadecimal."""
    digest = hashlib.sha256(json.dumps(dict(attributes), sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{tuple(array.shape)}\0".encode())
        if array.nbytes:
            digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()
