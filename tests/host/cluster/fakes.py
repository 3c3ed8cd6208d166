"""Nodes in this process, which can be lost, slow, full or behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ninefold.host.backends.cpu import Cpu
from ninefold.host.cluster.holder import Holder
from ninefold.host.cluster.nodes import Behind, LostNodeError, Request
from ninefold.host.cluster.placement import Shard
from ninefold.host.scheduler import Scheduler
from ninefold.spec.data import Result
from ninefold.spec.errors import NinefoldError

__all__ = ["FakeNode", "FakeNodes", "running"]


class FakeNode:
    """One life of a node: a holder, until it is killed."""

    def __init__(self, name: str, holder: Holder, pool: ThreadPoolExecutor) -> None:
        self.name, self.holder, self._pool = name, holder, pool
        self.dead = False
        self.full = False
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[Request] = []

    def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.gate.wait(30)
        if self.dead:
            raise LostNodeError(f"{self.name} has ended")
        found = work(*arguments)
        if self.dead:
            raise LostNodeError(f"{self.name} has ended")
        return found

    def hold(self, shard: Shard, generation: int, content: Mapping[str, Any], about: Mapping[str, Any]) -> Future[str]:
        if self.full:
            failed: Future[str] = Future()
            failed.set_exception(NinefoldError("no memory is left"))
            return failed
        return self._pool.submit(self._run, self.holder.hold, shard, generation, content, about)

    def drop(self, shards: tuple[Shard, ...]) -> Future[None]:
        return self._pool.submit(self._run, self.holder.drop, shards)

    def search(self, request: Request) -> Future[Result | Behind]:
        self.asked.append(request)
        return self._pool.submit(self._run, self.holder.search, request)


class FakeNodes:
    """Nodes by name; `kill` ends one, `start` begins a life."""

    def __init__(self, scheduler: Scheduler, names: str) -> None:
        self._scheduler, self._pool = scheduler, ThreadPoolExecutor(16)
        self.all: dict[str, FakeNode] = {}
        for name in names:
            self.start(name)

    def start(self, name: str) -> FakeNode:
        self.all[name] = FakeNode(name, Holder(self._scheduler), self._pool)
        return self.all[name]

    def kill(self, name: str) -> None:
        """End a node; what is asked of it meanwhile fails, and it is no longer found."""
        node = self.all.pop(name)
        node.dead = True

    def found(self) -> Mapping[str, FakeNode]:
        return dict(self.all)

    def close(self) -> None:
        for node in self.all.values():
            node.gate.set()
        self._pool.shutdown()


@contextmanager
def running(names: str) -> Iterator[FakeNodes]:
    """Yield nodes, one for each letter."""
    with Scheduler(backends={"cpu": Cpu("numpy")}, costs=None) as scheduler:
        nodes = FakeNodes(scheduler, names)
        try:
            yield nodes
        finally:
            nodes.close()
