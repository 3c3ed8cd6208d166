"""Search of several parts as if they were one `Database` of their live rows.

An index consists of segments and a tail. A cut to the best rows is exact only over all parts, so the parts of a search
are merged before each of them: coarse scores, then scores by nits, then those by the float vectors.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.refine import refine
from ninefold.host.scheduler import DatabaseHandle, Scheduler
from ninefold.numerics.ranked import merged
from ninefold.numerics.stages import candidates_call, quantised, rescored
from ninefold.spec.data import Database, Result, Task
from ninefold.spec.formats import INT32_MIN, K_MAX, NO_ID
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["Part", "Parts"]

_guard = threading.Lock()
#: Databases of the last search of each index, by digest.
_loaded: weakref.WeakKeyDictionary[Scheduler, dict[str, dict[str, Database]]] = weakref.WeakKeyDictionary()
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
    """

    database: Database
    sequence: npt.NDArray[np.int64]
    alive: npt.NDArray[np.bool_] | None = None
    on_host: bool = False

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

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return some rows of the array `name` of all parts, in ascending order of `rows`."""
        ends = np.searchsorted(rows, self.starts)
        found = []
        for part, start, first, last in zip(self.parts, self.starts, ends, ends[1:], strict=False):
            inside = rows[first:last] - start
            found.append(np.asarray(part.database.arrays[name])[inside if part.live is None else part.live[inside]])
        return np.concatenate(found)

    def place(self, row: int) -> tuple[Part, int]:
        """Return the part of a row, and its number there."""
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        part, inside = self.parts[at], row - int(self.starts[at])
        return part, inside if part.live is None else int(part.live[inside])

    def task(
        self,
        q: npt.NDArray[np.float32],
        options: Mapping[str, Any],
        *,
        device: str = "auto",
        strict: bool = False,
        allowed: npt.NDArray[np.uint8] | None = None,
    ) -> Task:
        """Return the whole search as a task of ``mine`` on the database of the first part."""
        arguments = {"q": q, "database": self.parts[0].database, "allowed": allowed}
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
            As in `Task`. The tail is searched on the CPU, and so are parts without rows.
        allowed : uint8 array of shape (ceil(rows / 8),), optional
            Rows that may be returned, as ``mine`` takes them.
        """
        wanted = None if allowed is None else self._wanted(allowed)
        self._drop_earlier(scheduler)
        part = self.parts[0]
        if len(self.parts) == 1 and (part.live is None or wanted is not None):
            task = self.task(q, options, device=device, strict=strict, allowed=self._mask(0, wanted))
            if part.on_host and device == "auto":
                task.device = "cpu"
            result = scheduler.run_task(task)
            result.values = {**result.values, "ids": self._renumbered(0, result.values["ids"])}
            return result
        return self._merged(scheduler, q, options, device, strict, wanted)

    def _drop_earlier(self, scheduler: Scheduler) -> None:
        """Unload the databases that the last search of this index by a scheduler used, and this one does not."""
        if not self.owner:
            return
        now = {part.database.digest: part.database for part in self.parts}
        with _guard:
            loaded = _loaded.setdefault(scheduler, {})
            before, loaded[self.owner] = loaded.get(self.owner, {}), now
        for digest in before.keys() - now.keys():
            scheduler.unload(DatabaseHandle(before[digest]))

    def _wanted(self, allowed: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Return the bits of a mask, after the check that ``mine`` makes."""
        operator = OPERATORS["mine"]
        rows = Database({"nits": np.zeros((len(self), 1), np.uint8)}, {**self._attributes(len(self)), "dimensions": 1})
        operator.bind({"q": np.zeros((0, 1), np.float32), "database": rows, "allowed": allowed})
        return np.unpackbits(allowed, count=len(self), bitorder="little").view(np.bool_)

    def _attributes(self, rows: int) -> dict[str, int | float | str]:
        attributes = dict(self.parts[0].database.attributes)
        attributes.pop("centroid_scale", None)
        return {**attributes, "rows": rows}

    def _mask(self, at: int, wanted: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.uint8] | None:
        """Return the mask of a part: its live rows, as far as they are wanted; None for all."""
        part = self.parts[at]
        if wanted is None:
            return None if part.alive is None else np.packbits(part.alive, bitorder="little")
        inside = wanted[self.starts[at] : self.starts[at + 1]]
        if part.live is None:
            return np.packbits(inside, bitorder="little")
        mask = np.zeros(len(part.sequence), np.bool_)
        mask[part.live[inside]] = True
        return np.packbits(mask, bitorder="little")

    def _renumbered(self, at: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return rows of a part as rows of all parts."""
        live, start = self.parts[at].live, self.starts[at]
        if live is not None:
            ids = np.where(ids == NO_ID, NO_ID, np.searchsorted(live, ids))
        elif start == 0:
            return ids
        return np.where(ids == NO_ID, NO_ID, ids + start)

    def _merged(
        self,
        scheduler: Scheduler,
        q: npt.NDArray[np.float32],
        options: Mapping[str, Any],
        device: str,
        strict: bool,
        wanted: npt.NDArray[np.bool_] | None,
    ) -> Result:
        whole = OPERATORS["mine"].bind(self.task(q, options).arguments, options)
        asked = _first_stage(whole)
        results = []
        # One after another, on this thread where the device allows it: each search uses the whole device.
        for at, part in enumerate(self.parts):
            options = dict(asked.options)
            if "order" not in part.database.arrays:
                # The rows of the tail are in no list: they are searched whichever lists are.
                options |= {"macro": None, "micro": None}
            task = Task(
                asked.operator.name,
                {"q": q, "database": part.database},
                options,
                device="cpu" if part.on_host else device,
                strict=strict,
            )
            found = None if wanted is not None else self._widened(scheduler, task, at)
            if found is None:
                task.arguments = {**task.arguments, "allowed": self._mask(at, wanted)}
                found = scheduler.run_task(task)
            results.append(found)
        values = self._joined([result.values for result in results], whole, asked)
        return _together(results, values, asked_for=device)

    def _widened(self, scheduler: Scheduler, task: Task, at: int) -> Result | None:
        """Search a part with a few dead rows for more rows than asked for, and drop the dead ones.

        This is faster than a mask, and devices need not know masks. None if the part is better searched with a mask, or
        if too many of the results are dead to know the best of the others.
        """
        part, k = self.parts[at], task.options.get("k")
        if part.alive is None or k is None:
            return None
        dead = len(part.alive) - len(part)
        wide = k + _SPARE + 2 * -(-k * dead // max(1, len(part)))
        if wide > K_MAX:
            return None
        result = scheduler.run_task(replace(task, options={**task.options, "k": wide}))
        ids, scores, count = (np.asarray(result.values[name]) for name in ("ids", "scores", "count"))
        good = (ids != NO_ID) & part.alive[ids]
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

    def _joined(self, found: Sequence[Mapping[str, Any]], whole: Call, asked: Call) -> dict[str, Any]:
        """Merge the values of the first stage, and run the later stages on the rows that are left."""
        slots = int(asked.options["k" if asked.operator.name == "mine" else "keep"])
        ids = np.concatenate([self._renumbered(at, values["ids"]) for at, values in enumerate(found)], axis=1)
        scores = np.concatenate([values["scores"] for values in found], axis=1)
        ids, scores = merged(ids, scores, slots)
        count = np.minimum(sum(np.asarray(values["count"]) for values in found), slots).astype(np.int64)
        values = {"ids": ids, "scores": scores, "count": count}
        k, rerank, threshold = (whole.options[name] for name in ("k", "rerank", "threshold"))
        signs = whole.options["scan"] == "signs"
        if not signs and rerank is None and threshold is None:
            return values
        # From here on the rows that are left are a database of their own, in the same order.
        rows = np.unique(ids[ids != NO_ID])
        values["ids"] = np.where(ids == NO_ID, NO_ID, np.searchsorted(rows, ids))
        if signs:
            left = Database({"nits": self.rows("nits", rows)}, self._attributes(len(rows)))
            arguments = {"q": whole.arguments["q"], "database": left}
            call = whole.operator.bind(arguments, {"k": k * (rerank or 1)})
            values = rescored(call, quantised(call), values)
        vectors = self.rows("vectors", rows) if rerank else None
        values = refine(values, np.asarray(whole.arguments["q"]), k, threshold=threshold, vectors=vectors)
        back = np.append(rows, NO_ID)  # NO_ID is -1, the last
        return {**values, "ids": back[values["ids"]]}


def _first_stage(whole: Call) -> Call:
    """Return the call that each part answers, up to the first cut."""
    deep = whole.with_options(k=whole.options["k"] * (whole.options["rerank"] or 1), rerank=None, threshold=None)
    return candidates_call(deep) if whole.options["scan"] == "signs" else deep


def _together(results: Sequence[Result], values: dict[str, Any], asked_for: str) -> Result:
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
