"""Service behind a server, apart from HTTP: scheduler, indexes, threads and the outcomes of named writes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from ninefold.host.cluster import Nodes, ShardedIndex
from ninefold.host.index import Index
from ninefold.host.scheduler import Scheduler
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.registry import backend, backend_names
from ninefold.spec.terminal import printable

from .meters import Meters
from .problems import BusyError, ProblemError, UnknownError
from .residents import Residents

__all__ = ["Limits", "Replies", "Service", "digest_of"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

#: Time that the outcome of a named write is kept, in seconds, and the number of outcomes.
_KEPT_S: Final = 86_400.0
_KEPT: Final = 65_536
#: Most bytes of an index of several segments that are copied into one database.
_COPIED: Final = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes
    ----------
    body : int
        Bytes of a request's body.
    entries : int
        Entries of one write.
    seconds : float
        Time for the work of one request, and for the arrival of its body.
    queue : int
        Requests that work or wait for a thread.
    workers : int
        Threads that work.
    connections : int
        Connections at once; further ones are refused.
    residents : int
        Bytes of uploaded databases that one key may hold.
    """

    body: int = 16 << 20
    entries: int = 4096
    seconds: float = 30.0
    queue: int = 256
    workers: int = 8
    connections: int = 1024
    residents: int = 4 << 30

    def __post_init__(self) -> None:
        for name, low in (
            ("body", 1024),
            ("entries", 1),
            ("queue", 1),
            ("workers", 1),
            ("connections", 1),
            ("residents", 0),
        ):
            if getattr(self, name) < low:
                raise InputError(f"{name} must be at least {low}, not {getattr(self, name)}")
        if not self.seconds > 0:
            raise InputError(f"seconds must be more than 0, not {self.seconds}")


@dataclass
class _Reply:
    """Outcome of a named write: the digest of its request, and its answer once there is one."""

    digest: str
    until: float
    answer: Any = None


@dataclass
class Replies:
    """Outcomes of named writes for 24 hours, the oldest out first beyond 65,536."""

    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[tuple[str, str], _Reply] = field(default_factory=OrderedDict)

    def begin(self, caller: str, token: str, digest: str) -> Any:
        """Return the answer of an earlier request of a caller, or None and note that this one runs.

        Raises
        ------
        ProblemError
            409 if the earlier one still runs, 422 if it asked for something else.
        """
        now = self.clock()
        while self._kept and (next(iter(self._kept.values())).until <= now or len(self._kept) >= _KEPT):
            self._kept.popitem(last=False)
        reply = self._kept.get((caller, token))
        if reply is None:
            self._kept[caller, token] = _Reply(digest, now + _KEPT_S)
            return None
        if reply.digest != digest:
            raise ProblemError(422, f"the idempotency key {printable(token)} was used for another request before")
        if reply.answer is None:
            raise ProblemError(
                409, f"the request of the idempotency key {printable(token)} still runs", {"retry-after": "1"}
            )
        return reply.answer

    def end(self, caller: str, token: str, answer: Any) -> None:
        """Keep the answer of a request that was begun; None forgets one that failed, so that it can be tried again."""
        if answer is None:
            self._kept.pop((caller, token), None)
        elif (reply := self._kept.get((caller, token))) is not None:
            reply.answer = answer


class Service:
    """Scheduler, open indexes and threads of a server; a context manager.

    Parameters
    ----------
    names : sequence of str
        Indexes, as `Index.open` takes them. Each is served under the last part of its name.
    folder : Path
        Folder of the server: backups, one folder for each name that a request gives; and uploaded residents.
    limits : Limits
    scheduler : Scheduler, optional
        By default a new one.
    nodes : Nodes, optional
        Nodes of a cluster, which search the indexes.
    log_texts : bool
        Log the texts of searches; by default their digests.
    boards : sequence of str
        URLs of boards to offer beside the devices of this machine.

    Raises
    ------
    InputError
        An index is missing, two would have the same name, or a URL is none of a board.
    DamagedDataError
        An index is damaged.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        limits: Limits | None = None,
        scheduler: Scheduler | None = None,
        *,
        nodes: Nodes | None = None,
        log_texts: bool = False,
        boards: Sequence[str] = (),
    ) -> None:
        self.limits = limits or Limits()
        self.backups = folder / "backups"
        self.replies = Replies()
        self.residents = Residents(folder / "residents", self.limits.residents)
        self.indexes: dict[str, Index] = {}
        self._nodes, self.log_texts = nodes, log_texts
        self._pool = ThreadPoolExecutor(self.limits.workers, "ninefold worker")
        self.inside = 0
        self.operators = 0
        self._copying = threading.Lock()
        # Without the devices of other servers, so that no two offer each other's in a circle.
        local = {name: backend(name) for name in backend_names() if name != "remote"}
        self.scheduler = scheduler or Scheduler(backends=local)
        self.meters = Meters(self.scheduler.registry)
        try:
            for url in boards:
                self.scheduler.offer(f"board:{url}")
            for name in names:
                self._open(name)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> None:
        reader = Index.open(name)
        if (called := reader.folder.name) in self.indexes:
            reader.close()
            raise InputError(f"two indexes would be served as {called}: {self.indexes[called].folder} and {name}")
        self.indexes[called] = reader
        if reader.read_only:
            return
        reader.close()
        if self._nodes is None:
            self.indexes[called] = Index.open(name, "w")
        else:
            self.indexes[called] = ShardedIndex.open(name, "w", nodes=self._nodes)

    def index(self, name: str) -> Index:
        """Return the index of a name; raises `UnknownError` if it is not served."""
        found = self.indexes.get(name)
        if found is None:
            known = ", ".join(sorted(self.indexes)) or "none"
            raise UnknownError(f"no index {printable(name)} is served here; there are: {printable(known)}")
        return found

    def check_device(self, name: str) -> None:
        """Raise `InputError` for a device that this server does not list.

        A name may hold an address or a path, which no caller is to make this machine open.
        """
        if ":" not in name or name in (listed := {status.device for status in self.scheduler.devices()}):
            return
        known = ", ".join(sorted(listed))
        raise InputError(
            f"device {printable(name)} is not offered by this server: auto, {known}; a board at a URL is offered by"
            " `ninefold serve --board URL`"
        )

    async def run(self, work: Callable[[], _T], ended: Callable[[_T | None], None] | None = None) -> _T:
        """Do work on a thread.

        A thread cannot be stopped: work that takes longer than allowed continues and keeps its place, so that slow work
        never takes more threads than there are.

        Parameters
        ----------
        work : callable
        ended : callable, optional
            ``ended(result)`` is called once when the work has ended, also after its time or without anyone who waits,
            and with None if it failed or never began.

        Raises
        ------
        BusyError
            As many requests work or wait as are allowed, or the time is over.
        """
        try:
            if self.inside >= self.limits.queue:
                raise BusyError(f"{self.inside} requests work or wait, of {self.limits.queue} allowed; try again")
            done = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except BaseException:
            if ended is not None:
                ended(None)
            raise
        self.inside += 1

        def left(done: asyncio.Future[_T]) -> None:
            self.inside -= 1
            failed = done.cancelled() or done.exception() is not None  # asked for, though no one may wait any longer
            if ended is not None:
                ended(None if failed else done.result())

        done.add_done_callback(left)
        try:
            return await asyncio.wait_for(asyncio.shield(done), self.limits.seconds)
        except TimeoutError:
            if done.done():
                raise
            raise BusyError(f"no answer within {self.limits.seconds:g} s, the time allowed; try again later") from None

    async def run_operator(self, work: Callable[[], _T]) -> _T:
        """Do the work of an operator on a thread; one or more threads are left for everything else.

        What an operator takes is for the caller to choose, so that a few costly calls could hold all threads.
        """
        most = max(1, self.limits.workers - 1 - self.limits.workers // 4)
        if self.operators >= most:
            raise BusyError(f"{self.operators} operators run, of {most} allowed at once; try again")
        self.operators += 1

        def ended(_: _T | None) -> None:
            self.operators -= 1

        return await self.run(work, ended)

    def database(self, name: str) -> Database:
        """Return one `Database` of an index. If several segments are copied for it, one copy is made of a version.

        Raises
        ------
        ProblemError
            413 if the copy would be larger than 1 GiB.
        """
        with self.index(name).snapshot() as snapshot:
            parts = snapshot.parts
            if parts.joined.joins and (size := parts.joined.nbytes) > _COPIED:
                said = f"{name} has several segments, of {size:,} bytes, and at most {_COPIED:,} are copied into one"
                raise ProblemError(413, f"{said}: use its search, or `ninefold index compact` it")
            with self._copying:
                return parts.database

    def close(self) -> None:
        """Wait for the threads, and close indexes and scheduler."""
        self._pool.shutdown()
        for index in self.indexes.values():
            try:
                index.close()
            except Exception:
                _log.exception("the index %s could not be closed", index.called)
        self.scheduler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def digest_of(*parts: bytes) -> str:
    """Return the SHA-256 of parts, none of which can be taken for two."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()
