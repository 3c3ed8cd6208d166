"""Data passed between layers: databases and states (residents), tasks, answers and results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .errors import InputError

__all__ = [
    "Answer",
    "Candidate",
    "Database",
    "Kept",
    "RaggedArray",
    "Result",
    "State",
    "Task",
    "content_digest",
    "flattened",
    "joined",
]


@dataclass(frozen=True, eq=False)
class RaggedArray:
    """Lists of different lengths: list i is ``values[offsets[i] : offsets[i + 1]]``.

    Attributes
    ----------
    values : array of shape (M, ...)
        Elements of all lists, in order.
    offsets : int64 array of shape (N + 1,)
        Start of each list, and at the end M; ascending from 0.
    """

    values: Any
    offsets: Any

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(self.values.nbytes) + int(self.offsets.nbytes)

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> Any:
        """Return the elements of one list."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]


@dataclass(frozen=True, eq=False)
class Database:
    """Immutable data that a device loads once and uses by handle.

    Attributes
    ----------
    arrays : mapping of str to array
        C-contiguous arrays, in memory or memory-mapped. ``mine`` needs ``"nits"``, uint8 of shape
        (rows, ceil(dimensions / 2)), packed; ``"vectors"``, float16 of shape (rows, dimensions), allows reranking.
    attributes : mapping of str to int, float or str
        ``mine`` needs ``rows``, ``dimensions``, ``scale`` and ``mode``.
    known_digest : str
        Digest if known from a manifest; otherwise computed from the content.
    joins : tuple of Database
        Databases whose rows, one after another, are the rows of this one, which then has no arrays of its own; see
        `joined`. Only the backend ``cpu`` takes such a database.
    """

    arrays: Mapping[str, Any] = field(repr=False)
    attributes: Mapping[str, int | float | str]
    known_digest: str = ""
    joins: tuple[Database, ...] = ()
    #: Sizes by symbol for each layout that the arrays were checked against; see `Layout.sizes_of`.
    checked: dict[Any, Mapping[str, int]] = field(default_factory=dict, init=False, repr=False)

    @property
    def parts(self) -> tuple[Database, ...]:
        """Databases that have the arrays: those that this one joins, or itself."""
        return self.joins or (self,)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, dtypes, shapes, bytes and attributes, in hexadecimal."""
        return self.known_digest or content_digest(self.arrays, self.attributes)

    @property
    def nbytes(self) -> int:
        """Size of all arrays in bytes."""
        return sum(int(a.nbytes) for part in self.parts for a in part.arrays.values())

    def require(self, name: str) -> Any:
        """Return the array `name`, or raise `InputError` naming the existing arrays."""
        if name not in self.arrays:
            raise InputError(f"the database has no {name!r}, only {', '.join(self.arrays) or 'nothing'}")
        return self.arrays[name]


@dataclass(frozen=True, eq=False)
class State:
    """One version of the state of a stateful operator. The host commits versions in order.

    Attributes
    ----------
    id : str
        Name of the state, the same for all versions.
    version : int
        0 for the first version, increased by 1 with each committed step.
    arrays, attributes : mapping
        The content, as in `Database`. An operator's signature declares them in the `Layout` of its state, which also
        makes the first version.
    """

    id: str
    version: int
    arrays: Mapping[str, Any] = field(repr=False)
    attributes: Mapping[str, int | float | str] = field(default_factory=dict)
    #: As in `Database`.
    checked: dict[Any, Mapping[str, int]] = field(default_factory=dict, init=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Size of all arrays in bytes."""
        return sum(int(a.nbytes) for a in self.arrays.values())

    def next(self, arrays: Mapping[str, Any], attributes: Mapping[str, int | float | str] | None = None) -> State:
        """Return the following version with new content."""
        return State(self.id, self.version + 1, arrays, self.attributes if attributes is None else attributes)


@dataclass(frozen=True)
class Kept:
    """Next version of a state that stays on the device; the host fetches a copy when it needs one.

    Attributes
    ----------
    id : str
        Name of the state.
    version : int
        Version after the step.
    """

    id: str
    version: int


@dataclass(slots=True)
class Task:
    """One call of an operator to schedule.

    Attributes
    ----------
    operator : str
        Name of the operator.
    arguments, options : mapping
        As `Operator.bind` takes them.
    device : str or None
        Requested device, ``backend[:instance]``; None or ``"auto"`` lets the scheduler choose.
    strict : bool
        Fail rather than answer from another device.
    prefer : str or None
        Preferred class of device (`Found.kind`) if the scheduler chooses.
    priority : int
        1 (lowest) to 10.
    deadline_s : float or None
        Time from submission after which the answer is useless, in seconds.
    timeout_s : float or None
        Time after which the first device counts as hung, in seconds; None for the device's own `Found.timeout_s`.
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
    """Answer of a device to a `Call`.

    Attributes
    ----------
    values : mapping of str to array
        Results by name.
    path : str
        Implementation that computed them, e.g. ``"avx2"`` or ``"verilator 5.048"``.
    metrics : mapping of str to float
        Counts and times, unit in the name: ``cycles``, ``seconds``, ``spikes``.
    state : State, Kept or None
        Next version, from a stateful operator; `Kept` if it was not copied to the host.
    """

    values: Mapping[str, Any]
    path: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    state: State | Kept | None = None


@dataclass(frozen=True)
class Candidate:
    """Device that the scheduler considered for a task.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    score : float
        Rank of the device while no time has been measured.
    run_s : float or None
        Measured time of such a call, transfer included; None without a measurement.
    load_s : float
        Expected time to load missing residents; 0 if none is missing.
    wait_s : float
        Expected time until the device is free.
    refused : str
        Reason for excluding the device; empty if it was eligible.
    """

    device: str
    score: float
    run_s: float | None = None
    load_s: float = 0.0
    wait_s: float = 0.0
    refused: str = ""

    @property
    def completion_s(self) -> float | None:
        """Expected time until the answer in seconds, or None without a measurement."""
        return None if self.run_s is None else self.wait_s + self.load_s + self.run_s


@dataclass(slots=True)
class Result(Answer):
    """An `Answer` with the requested device, the device that answered, and the reason.

    Attributes
    ----------
    asked_for : str
        Requested device, or ``"auto"``.
    answered_by : str
        Device that answered; several, separated by commas, if a batch was split.
    why : str
        Reason for the choice of that device.
    considered : tuple of Candidate
        Devices among which the scheduler chose; empty if one was requested by name.
    fallbacks : tuple of str
        Devices that failed, in order, each as ``"device: reason"``.
    """

    asked_for: str = "auto"
    answered_by: str = ""
    why: str = ""
    considered: tuple[Candidate, ...] = ()
    fallbacks: tuple[str, ...] = ()


def joined(databases: Sequence[Database]) -> Database:
    """Return the database of the rows of several, one after another, without a copy; its attributes are the first's.

    A part without lists of clusters is searched whole, whichever lists are searched.
    """
    rows = sum(int(database.attributes["rows"]) for database in databases)
    digest = hashlib.sha256("\n".join(database.digest for database in databases).encode()).hexdigest()
    return Database({}, {**databases[0].attributes, "rows": rows}, digest, tuple(databases))


def flattened(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain arrays by name; a ragged array NAME becomes ``NAME.values`` and ``NAME.offsets``."""
    plain: dict[str, Any] = {}
    for name, array in arrays.items():
        if isinstance(array, RaggedArray):
            plain |= {f"{name}.values": array.values, f"{name}.offsets": array.offsets}
        else:
            plain[name] = array
    return plain


def content_digest(arrays: Mapping[str, Any], attributes: Mapping[str, int | float | str]) -> str:
    """Return the SHA-256 of named C-contiguous or ragged arrays and attributes, in hexadecimal."""
    digest = hashlib.sha256(json.dumps(dict(attributes), sort_keys=True).encode())
    for name, array in sorted(flattened(arrays).items()):
        digest.update(f"\0{name}\0{array.dtype.str}\0{tuple(array.shape)}\0".encode())
        if array.nbytes:
            digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()
