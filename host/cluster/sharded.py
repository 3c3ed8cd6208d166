"""Index whose segments nodes search, with the bits of a search on one machine."""

from __future__ import annotations

import hashlib
import weakref
from dataclasses import replace
from typing import Any, Final, Literal, Self, Unpack

import numpy as np
import numpy.typing as npt

from ninefold.host import hooks
from ninefold.host.index import Hits, Index
from ninefold.host.index.parts import Part, Parts, search_part, together
from ninefold.host.index.read import Query, SearchOptions, Snapshot
from ninefold.host.index.writer import Durability
from ninefold.host.scheduler import AUTO, Scheduler
from ninefold.numerics.shards import MERGES, bounds_of, part_of, shard
from ninefold.spec.data import Answer, Database, Result, Task
from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.mine import DATABASE
from ninefold.spec.signature import Call
from ninefold.spec.text import counted

from .coordinator import Coordinator, Outcome
from .holder import mask_version
from .nodes import Asked, Nodes, Request
from .placement import SHARD_ROWS, Shard, shards_of

__all__ = ["ShardedIndex"]

#: Masks of live rows by shard with their versions, for each part.
_masks: weakref.WeakKeyDictionary[Part, dict[Shard, tuple[str, npt.NDArray[np.uint8]]]] = weakref.WeakKeyDictionary()
#: Missing shards that an error names.
_NAMED: Final = 4


class ShardedIndex(Index):
    """Index of which nodes hold the nits of the segments, and search them.

    This process, the coordinator, keeps the files and the writer, as any index does. Nodes hold copies of the nits in
    memory. The coordinator searches the tail and segments that no node has held yet, and merges: coarse scores, then
    scores by nits, then those by the float vectors, of which it reads the few rows that are left.
    """

    _coordinator: Coordinator
    _shard_rows: int
    _spread: weakref.WeakKeyDictionary[Parts, dict[bool, _SpreadParts]]

    @classmethod
    def open(
        cls,
        name: str,
        mode: Literal["r", "w"] = "r",
        *,
        durability: Durability = "commit",
        called: str = "",
        nodes: Nodes | None = None,
        copies: int = 2,
        shard_rows: int = SHARD_ROWS,
        timeout_s: float = 10.0,
    ) -> Self:
        """Open an index, and copy its nits to nodes.

        Parameters
        ----------
        name, mode, durability, called
            As `Index.open` takes them.
        nodes : Nodes
            Nodes; `connect` finds the nodes of a Ray cluster.
        copies : int
            Copies of each shard on different nodes. An answer is complete while fewer nodes are lost at once.
        shard_rows : int
            Most rows of a shard, the part of a segment that is placed as one.
        timeout_s : float
            Time after which a node that has not answered a search is replaced by another.

        Raises
        ------
        InputError
            If there are no nodes, or a value is not allowed.
        """
        if nodes is None:
            raise InputError("a sharded index needs nodes; `connect` finds the nodes of a Ray cluster")
        if shard_rows < 1:
            raise InputError(f"shard_rows must be at least 1, not {shard_rows}")
        coordinator = Coordinator(nodes, copies, timeout_s)
        try:
            index = super().open(name, mode, durability=durability, called=called)
        except BaseException:
            coordinator.close()
            raise
        found: Self = index  # type: ignore[assignment]  # the base class makes an object of this class
        found._coordinator, found._shard_rows, found._spread = coordinator, shard_rows, weakref.WeakKeyDictionary()
        with found.snapshot():
            return found  # nodes begin to copy what the snapshot has

    def close(self) -> None:
        """End the work of nodes for this index, and close it as any other."""
        self._coordinator.close()
        super().close()

    def settle(self, timeout_s: float = 60.0) -> bool:
        """Wait until every shard of the last commit has its copies; return whether it has."""
        with self.snapshot():
            pass
        return self._coordinator.settle(timeout_s)

    def snapshot(self, *, partial: bool = False) -> Snapshot:
        """Return the version of the last commit, which nodes search.

        Parameters
        ----------
        partial : bool
            Answer without the shards of which no node holds a copy; the answer names them. By default such a search is
            refused.
        """
        snapshot = super().snapshot()
        parts, number = snapshot.parts, snapshot.generation.number
        ways = self._spread.setdefault(parts, {})
        if partial not in ways:
            ways[partial] = _SpreadParts(parts, self._coordinator, number, self._shard_rows, partial=partial)
        snapshot.parts = ways[partial]
        self._coordinator.follow(ways[partial])
        return snapshot

    def search(  # type: ignore[override]  # the overloads of the base class, with one more option
        self, query: Query | list[Any], k: int = 10, *, partial: bool = False, **options: Unpack[SearchOptions]
    ) -> Hits | list[Hits]:
        """Find the entries nearest to a query, or to each query of a list; see `Snapshot.search`.

        Parameters
        ----------
        query, k, **options
            As in `Snapshot.search`. `device` is one of each node.
        partial : bool
            As in `snapshot`. The metric ``missing_rows`` of the result counts the rows that were not searched, and its
            `fallbacks` name them.

        Raises
        ------
        UnavailableError
            No node holds a part of the index, and `partial` is false.
        """
        with self.snapshot(partial=partial) as snapshot:
            return snapshot.search(query, k, **options)


class _SpreadParts(Parts):
    """Parts of which nodes search the segments."""

    def __init__(
        self, parts: Parts, coordinator: Coordinator, generation: int, shard_rows: int, *, partial: bool
    ) -> None:
        super().__init__(parts.parts, parts.owner)
        self.generation, self._coordinator, self._partial = generation, coordinator, partial
        self._shards = [
            [] if part.on_host else shards_of(part.database.digest, len(part.sequence), shard_rows)
            for part in self.parts
        ]
        self.shards = tuple(shard for some in self._shards for shard in some)
        self._of = {part.database.digest: part for part in self.parts if not part.on_host}

    def content(self, shard: Shard) -> Database:
        """Return the database of a shard: all that a scan needs, and no float vectors."""
        whole = self._of[shard.segment].database
        arrays = {name: np.asarray(array) for name, array in whole.arrays.items() if name != "vectors"}
        plain = Database(arrays, whole.attributes)
        axis = OPERATORS["mine"].shards
        assert axis is not None  # noqa: S101 - the signature declares it
        return part_of(plain, range(shard.first, shard.last), DATABASE, axis)

    def _searched(self, scheduler: Scheduler, task: Task, *, masked: bool) -> Result:
        """Run the task of a search on nodes; the tail, and what no node has held yet, here."""
        if not task.arguments["q"].size or not self.shards:
            return super()._searched(scheduler, task, masked=masked)
        whole = OPERATORS["mine"].bind(task.arguments, task.options)
        deep = whole.with_options(k=whole.options["k"] * (whole.options["rerank"] or 1), rerank=None, threshold=None)
        merge, bounds = MERGES["staged"], bounds_of(self.joined)
        first_stage = merge.asked(deep)
        wanted: list[Asked] = []
        masks: dict[str, npt.NDArray[np.uint8]] = {}
        own: list[tuple[int, Result]] = []
        for part, some, call, first in zip(self.parts, self._shards, shard(deep, bounds), [0, *bounds], strict=True):
            given = call.arguments["allowed"] if masked else None
            for one in some:
                version, mask = _mask(part, one)
                masks[version] = mask
                cut = None if given is None else _bits(given, one)
                wanted.append(Asked(one, first + one.first, version, cut))
            if not some:
                own.append((first, _here(scheduler, task, call, part.database, part.alive, given)))
        request = Request(
            self.generation,
            first_stage.operator.name,
            first_stage.options,
            np.asarray(task.arguments["q"]),
            str(task.device or AUTO),
            task.strict,
            tuple(wanted),
        )
        outcome = self._coordinator.search(request, masks)
        self._check(outcome)
        own += [(asked.row, self._unplaced(scheduler, task, first_stage, asked)) for asked in outcome.here]
        firsts = [0] * len(outcome.results) + [first for first, _ in own]
        results = [result for _, result in outcome.results] + [result for _, result in own]
        if not results:
            raise UnavailableError("no part of the index can be searched: no node holds any", _ADVICE)
        values = merge.join(deep, firsts, [result.values for result in results])
        values = dict(hooks.after(whole, Answer(values)).values)
        found = together(results, values, asked_for=str(task.device))
        return _said(found, outcome, len(own))

    def _check(self, outcome: Outcome) -> None:
        """Raise `UnavailableError` for missing shards, unless an answer without them is asked for."""
        if outcome.missing and not self._partial:
            reasons = f" ({'; '.join(outcome.failures)})" if outcome.failures else ""
            raise UnavailableError(f"no node that answers holds {_named(outcome.missing)}{reasons}", _ADVICE)

    def _unplaced(self, scheduler: Scheduler, task: Task, call: Call, asked: Asked) -> Result:
        """Search a shard here that no node has held yet."""
        part, one = self._of[asked.shard.segment], asked.shard
        database = part.database if len(one) == len(part.sequence) else self._known(one)
        if "order" not in database.arrays:
            call = replace(call, options={**call.options, "macro": None, "micro": None})
        alive = None if part.alive is None else part.alive[one.first : one.last]
        return _here(scheduler, task, call, database, alive, asked.allowed)

    def _known(self, shard: Shard) -> Database:
        """Return the database of a shard with a digest that takes no reading of it."""
        digest = hashlib.sha256(f"{shard.segment} {shard.first} {shard.last}".encode()).hexdigest()
        return replace(self.content(shard), known_digest=digest)


#: What to do about missing shards.
_ADVICE: Final = "wait until it is copied again, or search with partial=True for an answer without it"


def _here(
    scheduler: Scheduler,
    task: Task,
    call: Call,
    database: Database,
    alive: npt.NDArray[np.bool_] | None,
    allowed: npt.NDArray[np.uint8] | None,
) -> Result:
    """Run the first stage of a search on rows of this machine."""
    mask = np.packbits(alive, bitorder="little") if allowed is None and alive is not None else allowed
    arguments = {"q": task.arguments["q"], "database": database, "allowed": mask}
    one = Task(call.operator.name, arguments, call.options, device="cpu")
    return scheduler.run_task(one) if allowed is not None else search_part(scheduler, one, alive)


def _mask(part: Part, shard: Shard) -> tuple[str, npt.NDArray[np.uint8]]:
    """Return version and mask of the live rows of a shard; an empty version if all are live."""
    if part.alive is None:
        return "", np.zeros(0, np.uint8)
    known = _masks.setdefault(part, {})
    if shard not in known:
        alive = part.alive[shard.first : shard.last]
        mask = np.packbits(alive, bitorder="little")
        known[shard] = ("" if alive.all() else mask_version(mask), mask)
    return known[shard]


def _bits(mask: npt.NDArray[np.uint8], shard: Shard) -> npt.NDArray[np.uint8]:
    """Return the bits of a shard's rows of a segment's mask."""
    if not shard.first % 8:
        cut = mask[shard.first // 8 : -(-shard.last // 8)].copy()
        if len(shard) % 8:
            cut[-1] &= (1 << len(shard) % 8) - 1
        return cut
    bits = np.unpackbits(mask, count=shard.last, bitorder="little")
    return np.packbits(bits[shard.first :], bitorder="little")


def _named(missing: list[Asked]) -> str:
    shards = sorted(one.shard for one in missing)
    rest = f", and {len(shards) - _NAMED} more shards" if len(shards) > _NAMED else ""
    return ", ".join(str(one) for one in shards[:_NAMED]) + rest


def _said(found: Result, outcome: Outcome, own: int) -> Result:
    """Return a result that tells which nodes answered, which failed, and what is missing."""
    nodes = {name for name, _ in outcome.results}
    devices = {device for _, result in outcome.results for device in result.answered_by.split(", ")}
    missing = sum(len(one.shard) for one in outcome.missing)
    fallbacks = [*outcome.failures, *found.fallbacks]
    if missing:
        fallbacks.append(f"not searched, since no node that answers holds them: {_named(outcome.missing)}")
    return replace(
        found,
        answered_by=", ".join(sorted(devices)) or found.answered_by,
        why=f"{counted(len(nodes), 'node')} searched the segments, and the coordinator {counted(own, 'part')}",
        fallbacks=tuple(dict.fromkeys(fallbacks)),
        metrics={**found.metrics, **({"missing_rows": float(missing)} if missing else {})},
    )
