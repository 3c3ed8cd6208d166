"""Node of a cluster: copies of shards, and a scheduler that searches them on the node's own devices."""

from __future__ import annotations

import hashlib
import platform
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.index.parts import search_part, together
from ninefold.host.scheduler import AUTO, DatabaseHandle, Scheduler
from ninefold.numerics.shards import ranked
from ninefold.spec.data import Database, Result, Task
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.protocols import Found
from ninefold.spec.registry import backend, backend_names

from .nodes import About, Asked, Behind, Request
from .placement import Shard

__all__ = ["Holder", "mask_version", "versions"]

#: Packages whose versions must be the same on all nodes.
_SAME: Final = ("ninefold", "numpy")
#: Versions of deletions that are kept for each shard: searches that began before a write need older ones too.
_KEPT: Final = 8


def versions(*more: str) -> dict[str, str]:
    """Return the versions that must be the same on all nodes, of Python and of packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in (*_SAME, *more)}}


def mask_version(mask: npt.NDArray[np.uint8]) -> str:
    """Return the version of deletions that a mask of live rows describes."""
    return hashlib.sha256(mask.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Held:
    """Copy of a shard, and masks of its live rows by version."""

    generation: int
    database: Database
    masks: OrderedDict[str, npt.NDArray[np.uint8]]


class Holder:
    """Shards of a node. Thread-safe.

    Parameters
    ----------
    scheduler : Scheduler, optional
        By default a new one, without the devices of servers.
    """

    def __init__(self, scheduler: Scheduler | None = None) -> None:
        local = {name: backend(name) for name in backend_names() if name != "remote"}
        self.scheduler = scheduler or Scheduler(backends=local)
        self._held: dict[Shard, _Held] = {}
        self._lock = threading.Lock()

    def about(self, *packages: str) -> About:
        """Return versions and devices."""
        found = [status.device for status in self.scheduler.devices() if isinstance(status.entry, Found)]
        return About(versions(*packages), tuple(found))

    def hold(self, shard: Shard, generation: int, content: Mapping[str, Any], about: Mapping[str, Any]) -> str:
        """Keep a copy of a shard, and return its digest, by which the coordinator knows that it arrived whole."""
        # Copied, since what arrives may be in memory that the sender shares with other messages.
        arrays = {name: np.array(array) for name, array in content.items()}
        database = Database(arrays, dict(about))
        if int(database.attributes["rows"]) != len(shard):
            raise DamagedDataError(f"{shard} arrived with {database.attributes['rows']} rows")
        with self._lock:
            self._held[shard] = _Held(generation, database, OrderedDict())
        return database.digest

    def drop(self, shards: tuple[Shard, ...]) -> None:
        """Forget shards."""
        with self._lock:
            gone = [self._held.pop(shard) for shard in shards if shard in self._held]
        for held in gone:
            self.scheduler.unload(DatabaseHandle(held.database))

    def search(self, request: Request) -> Result | Behind:
        """Search shards, and merge their results; refuse if any is not here as the request names it."""
        with self._lock:
            held = {one.shard: self._held.get(one.shard) for one in request.shards}
            masks = {one.shard: self._mask(one, held[one.shard], request) for one in request.shards}
        missing = [shard for shard, one in held.items() if one is None or one.generation != request.generation]
        stale = [one.deletions for one in request.shards if one.deletions and masks[one.shard] is None]
        if missing or stale:
            return Behind(tuple(missing), tuple(stale))
        results = [self._searched(request, one, held[one.shard], masks[one.shard]) for one in request.shards]
        values = ranked([one.row for one in request.shards], [result.values for result in results])
        # The candidates only explain, and hold as many objects as there are devices.
        return replace(together(results, values, asked_for=request.device), considered=())

    def _mask(self, asked: Asked, held: _Held | None, request: Request) -> npt.NDArray[np.uint8] | None:
        """Return the mask of live rows that a request means; keep one that came with it."""
        if held is None or not asked.deletions:
            return None
        sent = request.masks.get(asked.deletions)
        if sent is not None and mask_version(sent) == asked.deletions:
            held.masks[asked.deletions] = np.array(sent)
            while len(held.masks) > _KEPT:
                held.masks.popitem(last=False)
        return held.masks.get(asked.deletions)

    def _searched(
        self, request: Request, asked: Asked, held: _Held | None, mask: npt.NDArray[np.uint8] | None
    ) -> Result:
        assert held is not None  # noqa: S101 - the caller refuses what is missing
        options = dict(request.options)
        if "order" not in held.database.arrays:
            options |= {"macro": None, "micro": None}
        device = request.device
        if device == AUTO and not self.scheduler.beside_host(request.operator):
            device = "cpu"
        allowed = mask if asked.allowed is None else asked.allowed
        arguments = {"q": request.q, "database": held.database, "allowed": allowed}
        task = Task(request.operator, arguments, options, device=device, strict=request.strict)
        if asked.allowed is not None or mask is None:
            return self.scheduler.run_task(task)
        alive = np.unpackbits(mask, count=len(asked.shard), bitorder="little").view(np.bool_)
        return search_part(self.scheduler, task, alive)

    def close(self) -> None:
        """End the scheduler."""
        self.scheduler.close()
