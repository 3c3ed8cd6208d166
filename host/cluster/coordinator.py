"""Coordinator: which node holds and which searches which shard, and what happens when nodes are lost or behind."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy.typing as npt

from ninefold.spec.data import Database, Result
from ninefold.spec.errors import DamagedDataError, InputError, NinefoldError

from .nodes import Asked, Behind, LostNodeError, Node, Nodes, Request
from .placement import Shard, ranked_nodes

__all__ = ["Coordinator", "Outcome", "Source"]

_log = logging.getLogger(__name__)

#: Interval between looks at the nodes, and time for which a node that gave no answer in time is asked last, in seconds.
_LOOK_S: Final = 0.5
_SHUNNED_S: Final = 5.0
#: Least time that a node is given to take a shard, in seconds.
_COPY_S: Final = 60.0


class Source(Protocol):
    """Content of shards, at the coordinator."""

    @property
    def generation(self) -> int:
        """Generation of the nits."""

    @property
    def shards(self) -> Sequence[Shard]:
        """All shards."""

    def content(self, shard: Shard) -> Database:
        """Return the database of a shard."""


@dataclass
class _Member:
    """Node, the shards that it holds with their generations, and the time until which it is asked last."""

    node: Node
    holds: dict[Shard, int] = field(default_factory=dict)
    shunned_until: float = 0.0


@dataclass
class Outcome:
    """Results of nodes; shards that no node has held yet, which the coordinator searches; and shards without a copy.

    Attributes
    ----------
    results : list of (str, Result)
        Node, and its result.
    here, missing : list of Asked
    failures : list of str
        Nodes that failed, each as ``"node: reason"``.
    """

    results: list[tuple[str, Result]] = field(default_factory=list)
    here: list[Asked] = field(default_factory=list)
    missing: list[Asked] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Coordinator:
    """Copies of shards on nodes, and searches of them. Thread-safe; a context manager.

    A thread compares the nodes and their copies with what `follow` asks for, and copies what is missing.

    Parameters
    ----------
    nodes : Nodes
    copies : int
        Copies of each shard, on different nodes.
    timeout_s : float
        Time after which a node that has not answered is replaced by another, for a search.
    """

    def __init__(self, nodes: Nodes, copies: int = 2, timeout_s: float = 10.0) -> None:
        if copies < 1:
            raise InputError(f"copies must be at least 1, not {copies}")
        if not timeout_s > 0:
            raise InputError(f"timeout_s must be more than 0, not {timeout_s}")
        self._nodes, self.copies, self.timeout_s = nodes, copies, timeout_s
        self._members: dict[str, _Member] = {}
        self._source: Source | None = None
        #: Shards of the source that a node has held.
        self._placed: set[Shard] = set()
        self._lock = threading.Lock()
        self._changed, self._ended, self._settled = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._tend, name="ninefold cluster", daemon=True)
        self._thread.start()

    def __enter__(self) -> Coordinator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; nodes keep what they hold."""
        self._ended.set()
        self._changed.set()
        self._thread.join()

    def follow(self, source: Source) -> None:
        """Keep copies of these shards from now on, and of no others."""
        with self._lock:
            if self._source is source:
                return
            self._source = source
            self._placed &= set(source.shards)
        self._settled.clear()
        self._changed.set()

    def settle(self, timeout_s: float) -> bool:
        """Wait until each shard has its copies; return whether it has."""
        return self._settled.wait(timeout_s)

    def copies_of(self, shard: Shard) -> list[str]:
        """Return the nodes that hold a shard."""
        with self._lock:
            return [name for name, member in self._members.items() if shard in member.holds]

    # Searching.

    def search(self, request: Request, masks: Mapping[str, npt.NDArray[Any]]) -> Outcome:
        """Search shards, each on one node that holds it; on another, if that one fails.

        Parameters
        ----------
        request : Request
        masks : mapping of str to uint8 array
            Masks of live rows by version, of all shards with dead rows.

        Raises
        ------
        InputError
            The request is invalid.
        """
        outcome, waiting = Outcome(), {asked.shard: asked for asked in request.shards}
        failed: dict[Shard, set[str]] = defaultdict(set)
        told: set[str] = set()
        while waiting:
            sent: dict[Future[Result | Behind], tuple[str, Node, list[Asked]]] = {}
            for name, node, some in self._choices(waiting, failed, request.generation, outcome):
                known = {one.deletions: masks[one.deletions] for one in some if one.deletions and name in told}
                sent[node.search(replace(request, shards=tuple(some), masks=known))] = name, node, some
            wait(sent, self.timeout_s)
            for future, (name, node, some) in sent.items():
                answer = self._answer(future, name, node, outcome)
                if isinstance(answer, Result):
                    outcome.results.append((name, answer))
                    for one in some:
                        del waiting[one.shard]
                    continue
                refused = {one.shard for one in some}
                if answer is not None:
                    # A node that only lacks masks is asked once more, with them.
                    stale = {one.shard for one in some if name in told and one.deletions in answer.deletions}
                    refused = {*answer.shards, *stale}
                    told.add(name)
                    self._forget(name, answer.shards)
                for shard in refused:
                    failed[shard].add(name)
        return outcome

    def _choices(
        self, waiting: dict[Shard, Asked], failed: Mapping[Shard, set[str]], generation: int, outcome: Outcome
    ) -> list[tuple[str, Node, list[Asked]]]:
        """Return the nodes to ask with their shards: of those that hold one, the first choice that has not failed.

        Shards that no node can search move from `waiting` to the outcome.
        """
        with self._lock:
            names, now = sorted(self._members), time.monotonic()
            members = [self._members[name] for name in names]
            order = ranked_nodes(list(waiting), names).tolist()
            chosen: dict[int, list[Asked]] = defaultdict(list)
            for shard, ranks in zip(list(waiting), order, strict=True):
                out = failed.get(shard, ())
                able = [at for at in ranks if members[at].holds.get(shard) == generation and names[at] not in out]
                if able:
                    chosen[min(able, key=lambda at: members[at].shunned_until > now)].append(waiting[shard])
                else:
                    (outcome.missing if shard in self._placed else outcome.here).append(waiting.pop(shard))
            return [(names[at], members[at].node, some) for at, some in chosen.items()]

    def _answer(
        self, future: Future[Result | Behind], name: str, node: Node, outcome: Outcome
    ) -> Result | Behind | None:
        """Return what a node answered, or None and note why there is no answer."""
        if not future.done():
            future.cancel()
            outcome.failures.append(f"{name}: no answer within {self.timeout_s:g} s")
            with self._lock:
                if name in self._members:
                    self._members[name].shunned_until = time.monotonic() + _SHUNNED_S
            return None
        try:
            return future.result()
        except InputError:
            raise
        except LostNodeError as error:
            outcome.failures.append(f"{name}: {error}")
            self._lost(name, node)
        except NinefoldError as error:
            outcome.failures.append(f"{name}: {error}")
        return None

    def _lost(self, name: str, node: Node) -> None:
        """Forget a life of a node, and see to new copies."""
        with self._lock:
            member = self._members.get(name)
            if member is None or member.node is not node:
                return
            del self._members[name]
        _log.warning("the node %s is lost", name)
        self._settled.clear()
        self._changed.set()

    def _forget(self, name: str, shards: Iterable[Shard]) -> None:
        """Note that a node does not hold shards that it was believed to hold."""
        gone = set(shards)
        with self._lock:
            if name in self._members:
                for shard in gone & self._members[name].holds.keys():
                    del self._members[name].holds[shard]
        if gone:
            self._settled.clear()
            self._changed.set()

    # Copies.

    def _tend(self) -> None:
        while not self._ended.is_set():
            self._changed.clear()
            try:
                if self._tended():
                    self._settled.set()
            except Exception:
                _log.exception("copies of shards could not be looked after")
            self._changed.wait(_LOOK_S)

    def _tended(self) -> bool:
        """Compare nodes and copies with what is wanted, and copy what is missing; return whether all is there."""
        found = self._nodes.found()
        with self._lock:
            for name in [name for name, one in self._members.items() if found.get(name) is not one.node]:
                del self._members[name]
            for name, node in found.items():
                self._members.setdefault(name, _Member(node))
            source, names = self._source, sorted(self._members)
        if source is None or not names:
            return False
        order = ranked_nodes(source.shards, names)[:, : self.copies]
        wanted: dict[str, set[Shard]] = {name: set() for name in names}
        complete = True
        # First copies of all shards before any second one.
        for copy in range(order.shape[1]):
            for shard, at in zip(source.shards, order[:, copy].tolist(), strict=True):
                wanted[names[at]].add(shard)
                if self._source is not source or self._ended.is_set():
                    return False
                complete &= self._copied(source, shard, names[at])
        if complete:
            self._drop(wanted)
        return complete and len(order.T) == self.copies and self._source is source

    def _copied(self, source: Source, shard: Shard, name: str) -> bool:
        """See that a node holds a shard; return whether it does."""
        with self._lock:
            member = self._members.get(name)
            if member is None:
                return False
            if member.holds.get(shard) == source.generation:
                return True
        content = source.content(shard)
        future = member.node.hold(shard, source.generation, content.arrays, content.attributes)
        try:
            digest = future.result(max(_COPY_S, self.timeout_s))
            if digest != content.digest:
                raise DamagedDataError(f"it arrived with the digest {digest}, not {content.digest}")
        except (NinefoldError, TimeoutError) as error:
            _log.warning("%s did not take %s: %s", name, shard, str(error) or "no answer in time")
            if isinstance(error, LostNodeError):
                self._lost(name, member.node)
            return False
        with self._lock:
            member.holds[shard] = source.generation
            self._placed.add(shard)
        return True

    def _drop(self, wanted: Mapping[str, set[Shard]]) -> None:
        """Have nodes forget the shards of earlier versions, and those that have other nodes now."""
        for name, shards in wanted.items():
            with self._lock:
                member = self._members.get(name)
                extra = () if member is None else tuple(member.holds.keys() - shards)
                for shard in extra:
                    if member is not None:
                        del member.holds[shard]
            if member is not None and extra:
                member.node.drop(extra)
