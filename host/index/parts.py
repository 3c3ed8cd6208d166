"""Search of several parts as if they were one `Database` of their live rows.

An index consists of segments and a tail. A cut to the best rows is exact only over all parts, so the parts of a search
are merged before each of them: coarse scores, then scores by nits, then those by the float vectors. The CPU searches
all parts by one call, for a database that joins theirs. Other devices keep segments, and search one after another.
"""

from __future__ import annotations

import bisect
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host import hooks
from ninefold.host.scheduler import AUTO, DatabaseHandle, Scheduler
from ninefold.numerics.databases import joined_rows
from ninefold.numerics.nits import unpack
from ninefold.numerics.shards import bounds_of, merge, shard
from ninefold.spec.data import Answer, Database, Result, Task, joined
from ninefold.spec.errors import DeviceError, UnavailableError, UnsupportedError
from ninefold.spec.formats import INT32_MIN, K_MAX, NO_ID
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.mine import check_mask

from .columns import FieldColumn
from .filters import Filter

__all__ = ["Part", "Parts", "search_part", "together"]

_guard = threading.Lock()
#: Databases of the last search of each index, by digest.
_loaded: weakref.WeakKeyDictionary[Scheduler, dict[str, Mapping[str, Database]]] = weakref.WeakKeyDictionary()
#: Results asked for in place of dead ones, beyond twice the number that is expected.
_SPARE: Final = 8


@dataclass(frozen=True, eq=False)
class Part:
    """Rows that are searched together.

    Attributes
    ----------
    database : Database
        Nits and, if the index keeps them, vectors.
    sequence : int64 array of shape (rows,)
        Sequence numbers, ascending.
    alive : bool array of shape (rows,) or None
        False for dead rows; None if all are live.
    on_host : bool
        Search on the CPU, whichever device is asked for: the part changes too often to load it anywhere.
    columns : callable
        ``columns()`` gives the columns of declared fields by name, with a value for each row.
    """

    database: Database
    sequence: npt.NDArray[np.int64]
    alive: npt.NDArray[np.bool_] | None = None
    on_host: bool = False
    columns: Callable[[], Mapping[str, FieldColumn]] = dict

    @cached_property
    def live(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the live rows, ascending; None if all are live."""
        return None if self.alive is None else np.flatnonzero(self.alive)

    def __len__(self) -> int:
        """Return the number of live rows."""
        return len(self.sequence) if self.live is None else len(self.live)


class Parts:
    """Parts in the order of their sequence numbers. Row i is the i-th live row of all parts.

    Parameters
    ----------
    parts : sequence of Part
        At least one; only one of them may be without rows.
    owner : str
        Name of the index. A scheduler drops what an earlier version of it had loaded.
    """

    def __init__(self, parts: Sequence[Part], owner: str = "") -> None:
        self.parts, self.owner = tuple(parts), owner
        #: First row of each part, and at the end the number of rows.
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])
        self._starts: list[int] = self.starts.tolist()

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def sequence(self) -> npt.NDArray[np.int64]:
        """Sequence number of each row, int64 of shape (rows,)."""
        return self._gathered(lambda part: part.sequence)

    @cached_property
    def database(self) -> Database:
        """One `Database` of the live rows: the only part's own, or else a copy of all parts in memory."""
        first = self.parts[0]
        if len(self.parts) == 1 and first.live is None:
            return first.database
        names = [name for name in ("nits", "vectors") if name in first.database.arrays]
        arrays = {name: self._gathered(lambda part, name=name: part.database.arrays[name]) for name in names}
        attributes = {key: value for key, value in first.database.attributes.items() if key != "centroid_scale"}
        return Database(arrays, {**attributes, "rows": len(self)})

    @cached_property
    def vectors(self) -> npt.NDArray[np.float16]:
        """Float vectors of the live rows, float16 (rows, D); `InputError` if the index keeps none."""
        first = self.parts[0]
        first.database.require("vectors")
        if len(self.parts) == 1 and first.live is None:
            return first.database.arrays["vectors"]  # type: ignore[no-any-return]
        return self._gathered(lambda part: part.database.arrays["vectors"])

    def _gathered(self, of: Any) -> npt.NDArray[Any]:
        """Return the live rows of an array of each part, in order."""
        return np.concatenate([of(p) if p.live is None else np.asarray(of(p))[p.live] for p in self.parts])

    def place(self, row: int) -> tuple[Part, int]:
        """Return the part of a row, and its number there."""
        at = bisect.bisect_right(self._starts, row) - 1
        part, inside = self.parts[at], row - self._starts[at]
        return part, inside if part.live is None else int(part.live[inside])

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return some rows of the array `name` of all parts."""
        return joined_rows(self.joined, name)[rows if self._live is None else self._live[rows]]

    def floats(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return some rows as float32 (n, D): their float vectors, or their nits if there are no others."""
        first = self.parts[0].database
        if "vectors" in first.arrays:
            return self.rows("vectors", rows).astype(np.float32)
        return unpack(self.rows("nits", rows), int(first.attributes["dimensions"])).astype(np.float32)

    def meeting(self, condition: Filter) -> npt.NDArray[np.uint8]:
        """Return the rows that meet a condition on declared fields, as a mask of bits that ``mine`` takes."""
        found = []
        for part in self.parts:
            meets = condition.mask(part.columns())
            found.append(meets if part.alive is None else meets[part.alive])
        return np.packbits(np.concatenate(found), bitorder="little")

    @cached_property
    def joined(self) -> Database:
        """One `Database` of the rows of all parts, dead ones included, without a copy."""
        return self.parts[0].database if len(self.parts) == 1 else joined([part.database for part in self.parts])

    @cached_property
    def _used(self) -> Mapping[str, Database]:
        """Databases that a search uses, by digest."""
        return {one.digest: one for one in (self.joined, *self.joined.parts)}

    @cached_property
    def _live(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the live rows in `joined`, ascending; None if all are live."""
        return None if self._alive is None else np.flatnonzero(np.unpackbits(self._alive, bitorder="little"))

    @cached_property
    def _alive(self) -> npt.NDArray[np.uint8] | None:
        """Mask of the live rows of `joined`; None for all."""
        if all(part.alive is None for part in self.parts):
            return None
        alive = [np.ones(len(p.sequence), np.bool_) if p.alive is None else p.alive for p in self.parts]
        return np.packbits(np.concatenate(alive), bitorder="little")

    def task(
        self,
        q: npt.NDArray[np.float32],
        options: Mapping[str, Any],
        *,
        device: str = "auto",
        strict: bool = False,
        allowed: npt.NDArray[np.uint8] | None = None,
    ) -> Task:
        """Return the whole search as a task of ``mine``, whose results are rows of `joined`."""
        arguments = {"q": q, "database": self.joined, "allowed": self._alive if allowed is None else allowed}
        return Task("mine", arguments, options, device=device, strict=strict)

    def mine(
        self,
        scheduler: Scheduler,
        q: npt.NDArray[np.float32],
        options: Mapping[str, Any],
        *,
        device: str = "auto",
        strict: bool = False,
        allowed: npt.NDArray[np.uint8] | None = None,
    ) -> Result:
        """Run the operator ``mine`` on all live rows; ids are rows.

        Parameters
        ----------
        scheduler : Scheduler
        q : float32 array of shape (Q, D)
        options : mapping of str to object
            Options of ``mine``.
        device, strict : str, bool
            As in `Task`. If the device may be chosen, the CPU searches several parts, unless a device on other hardware
            has been found. The tail is searched on the CPU, and so are parts without rows.
        allowed : uint8 array of shape (ceil(rows / 8),), optional
            Rows that may be returned, as ``mine`` takes them.
        """
        wanted = None if allowed is None else self._wanted(allowed)
        task = self.task(q, options, device=device, strict=strict, allowed=wanted)
        result = self._searched(scheduler, task, masked=wanted is not None)
        self._drop_earlier(scheduler)
        if self._live is not None:
            ids = result.values["ids"]
            result.values = {**result.values, "ids": np.where(ids == NO_ID, NO_ID, np.searchsorted(self._live, ids))}
        return result

    def _wanted(self, allowed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the mask of rows of `joined` for a mask of live rows."""
        check_mask(allowed, len(self))
        if self._live is None:
            return allowed
        mask = np.zeros(int(self.joined.attributes["rows"]), np.bool_)
        mask[self._live] = np.unpackbits(allowed, count=len(self), bitorder="little").view(np.bool_)
        return np.packbits(mask, bitorder="little")

    def _searched(self, scheduler: Scheduler, task: Task, *, masked: bool) -> Result:
        """Run the task of a search: by one call, or on a device that keeps segments part by part."""
        name, only = str(task.device or AUTO), self.parts[0]
        plain = len(self.parts) == 1 and (masked or only.live is None) and not (only.on_host and name == AUTO)
        if not task.arguments["q"].size:
            return scheduler.run_task(task)
        if name == AUTO:
            others = scheduler.beside_host("mine")
            # Of one part the scheduler decides whether to search for devices. Once it has found none on other hardware,
            # trials of other backends on the same processor cost more than they gain.
            if others == [] or (others is None and not plain):
                name = "cpu"
        if plain and name == str(task.device or AUTO):
            return scheduler.run_task(task)
        if name.partition(":")[0] != "cpu":
            return self._one_by_one(scheduler, task, masked=masked)
        try:
            result = scheduler.run_task(Task("mine", task.arguments, task.options, device=name, strict=True))
        except (DeviceError, UnavailableError, UnsupportedError) as error:
            if task.strict:
                raise
            result = self._one_by_one(scheduler, task, masked=masked)
            result.fallbacks = tuple(dict.fromkeys((f"{name}: {error}", *result.fallbacks)))
            return result
        if task.device == AUTO:
            result.asked_for, result.why = AUTO, "no other hardware searches; the CPU takes all parts by one call"
        return result

    def _drop_earlier(self, scheduler: Scheduler) -> None:
        """Unload the databases that the last search of this index by a scheduler used, and this one does not."""
        if not self.owner:
            return
        now = self._used
        with _guard:
            loaded = _loaded.setdefault(scheduler, {})
            before, loaded[self.owner] = loaded.get(self.owner, {}), now
        for digest in () if before is now else before.keys() - now.keys():
            scheduler.unload(DatabaseHandle(before[digest]))

    def _one_by_one(self, scheduler: Scheduler, task: Task, masked: bool) -> Result:
        """Search the parts one after another, and merge them before each cut."""
        whole = OPERATORS["mine"].bind(task.arguments, task.options)
        deep = whole.with_options(k=whole.options["k"] * (whole.options["rerank"] or 1), rerank=None, threshold=None)
        bounds = bounds_of(self.joined)
        results = []
        # On this thread where the device allows it: each search uses the whole device.
        for part, call in zip(self.parts, shard(deep, bounds), strict=True):
            arguments = dict(call.arguments)
            if part.alive is None and not masked:
                arguments["allowed"] = None
            device = "cpu" if part.on_host else task.device
            one = Task(call.operator.name, arguments, call.options, device=device, strict=task.strict)
            results.append(scheduler.run_task(one) if masked else search_part(scheduler, one, part.alive))
        values = merge(deep, bounds, [result.values for result in results])
        values = dict(hooks.after(whole, Answer(values)).values)
        return together(results, values, asked_for=str(task.device))


def search_part(scheduler: Scheduler, task: Task, alive: npt.NDArray[np.bool_] | None) -> Result:
    """Run the first stage of a search on one part, of which some rows may be dead.

    Parameters
    ----------
    scheduler : Scheduler
    task : Task
        Task of ``mine`` or ``candidates``, whose mask excludes the dead rows.
    alive : bool array of shape (rows,) or None
        False for dead rows.
    """
    return _widened(scheduler, task, alive) or scheduler.run_task(task)


def _widened(scheduler: Scheduler, task: Task, alive: npt.NDArray[np.bool_] | None) -> Result | None:
    """Search a part with a few dead rows for more rows than asked for, and drop the dead ones.

    This is faster than a mask, and devices need not know masks. None if the part is better searched with a mask, or
    if too many of the results are dead to know the best of the others.
    """
    k = task.options.get("k")
    if alive is None or k is None:
        return None
    dead = len(alive) - int(np.count_nonzero(alive))
    wide = k + _SPARE + 2 * -(-k * dead // max(1, len(alive) - dead))
    if wide > K_MAX:
        return None
    arguments = {**task.arguments, "allowed": None}
    result = scheduler.run_task(replace(task, arguments=arguments, options={**task.options, "k": wide}))
    ids, scores, count = (np.asarray(result.values[name]) for name in ("ids", "scores", "count"))
    good = (ids != NO_ID) & alive[ids]
    there = good.sum(axis=1)
    if ((there < k) & (count == wide)).any():
        return None
    # The good ones first, in their order.
    order = np.argsort(~good, axis=1, kind="stable")[:, :k]
    ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
    empty = np.arange(k) >= there[:, None]
    ids[empty], scores[empty] = NO_ID, INT32_MIN
    result.values = {"ids": ids, "scores": scores, "count": np.minimum(there, k)}
    return result


def together(results: Sequence[Result], values: dict[str, Any], asked_for: str) -> Result:
    """Return the results of all parts as one; metrics are added."""
    metrics: dict[str, float] = {}
    for result in results:
        for name, value in result.metrics.items():
            metrics[name] = metrics.get(name, 0.0) + value
    first = results[0]
    return Result(
        values,
        ", ".join(dict.fromkeys(result.path for result in results)),
        metrics,
        asked_for=asked_for,
        answered_by=", ".join(dict.fromkeys(result.answered_by for result in results)),
        why=first.why,
        considered=first.considered,
        fallbacks=tuple(dict.fromkeys(text for result in results for text in result.fallbacks)),
    )
