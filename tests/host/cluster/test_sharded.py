"""Sharded index on nodes in this process: the bits of one machine, whatever happens to the nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.cluster import ShardedIndex
from ninefold.host.cluster.nodes import Asked, Behind, Request
from ninefold.host.cluster.placement import Shard
from ninefold.host.index import Index
from ninefold.host.sources import Entry
from ninefold.spec.errors import InputError, UnavailableError

from ..index.made import DIMENSIONS, made, vectors_of
from .fakes import FakeNodes, running

ROWS = 400
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"rerank": 3},
    {"threshold": "adaptive", "rerank": 2},
    {"scan": "signs", "oversample": 2},
    {"scan": "signs", "oversample": 3, "rerank": 2, "threshold": "adaptive"},
    {"where": "year >= 2004"},
    {"where": "year >= 2004 and colour == 'red'", "rerank": 2},
    {"where": "year < 2008", "scan": "signs", "oversample": 2, "rerank": 2},
)


def entries(rows: int, first: int = 0) -> list[Entry]:
    return [
        Entry(f"id {n}", "", f"text {n}", {"year": 2000 + n % 10, "colour": ("red", "blue")[n % 2]})
        for n in range(first, first + rows)
    ]


def coarse(rows: int, seed: int) -> np.ndarray:
    """Return vectors of few values, so that scores tie in every stage and across shards."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, DIMENSIONS)).astype(np.float16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    made(tmp_path / "notes", coarse(ROWS, 1), entries=entries(ROWS), fields={"year": "int"}).close()
    return tmp_path / "notes"


@pytest.fixture
def nodes() -> Iterator[FakeNodes]:
    with running("abc") as some:
        yield some


def opened(folder: Path, nodes: FakeNodes, mode: Any = "r", **more: Any) -> ShardedIndex:
    return ShardedIndex.open(str(folder), mode, nodes=nodes, shard_rows=37, **more)


def assert_same(one: Index, other: Index, nodes: FakeNodes, ways: tuple[dict[str, Any], ...] = WAYS) -> None:
    scheduler = next(iter(nodes.all.values())).holder.scheduler
    queries = [*np.random.default_rng(5).normal(0, 1, (3, DIMENSIONS)).astype(np.float32)]
    for options in ways:
        wanted = one.search(queries, 9, scheduler=scheduler, **options)
        found = other.search(queries, 9, scheduler=scheduler, **options)
        for a, b in zip(wanted, found, strict=True):
            assert [(hit.row, hit.id, hit.score) for hit in a] == [(hit.row, hit.id, hit.score) for hit in b], options
            assert [type(hit.score) for hit in a] == [type(hit.score) for hit in b]


def test_answers_are_those_of_one_machine_after_each_kind_of_change(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes, "w") as index, Index.open(str(folder)) as plain:
        assert index.settle()
        assert_same(plain, index, nodes)
        assert all(node.asked for node in nodes.all.values())
        index.delete([f"id {n}" for n in range(0, ROWS, 3)])  # dead rows in shards
        assert_same(plain, index, nodes)
        index.upsert(entries(50, 380), vectors_of(50, 3))  # replaced rows, and a tail
        assert_same(plain, index, nodes)
        index.compact()  # other segments, which no node holds yet
        assert_same(plain, index, nodes)
        assert index.settle()
        assert_same(plain, index, nodes)
        held = set().union(*(node.holder._held for node in nodes.all.values()))
        assert len({shard.segment for shard in held}) == 1, "shards of the old segment are dropped"


def test_each_shard_has_two_copies_and_each_row_is_asked_for_once(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes) as index:
        assert index.settle()
        shards = {shard: index._coordinator.copies_of(shard) for shard in nodes.all["a"].holder._held}
        assert all(len(names) == 2 for names in shards.values())
        for node in nodes.all.values():
            node.asked.clear()
        hits = index.search(np.ones(DIMENSIONS, np.float32), 5)
        rows = sorted(
            row
            for node in nodes.all.values()
            for request in node.asked
            for one in request.shards
            for row in range(one.row, one.row + len(one.shard))
        )
        assert rows == list(range(ROWS))
        assert hits.result.why.startswith("3 nodes searched the segments")


def test_a_lost_node_is_answered_for_by_copies_which_are_made_again(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes) as index, Index.open(str(folder)) as plain:
        assert index.settle()
        victim = nodes.all["b"]
        victim.gate.clear()  # its answer to a search is under way
        threading.Timer(0.2, lambda: (nodes.kill("b"), victim.gate.set())).start()
        hits = index.search(np.ones(DIMENSIONS, np.float32), 5)
        assert [hit.id for hit in hits] == [hit.id for hit in plain.search(np.ones(DIMENSIONS, np.float32), 5)]
        assert hits.fallbacks == ("b: b has ended",)
        assert index.settle()
        assert {*nodes.all["a"].holder._held} == {*nodes.all["c"].holder._held}, "two nodes hold everything"
        nodes.kill("a")
        assert_same(plain, index, nodes, WAYS[:2])
        nodes.start("d")
        assert_same(plain, index, nodes, WAYS[:2])


def test_without_a_copy_the_answer_is_refused_or_names_what_is_missing(folder: Path, nodes: FakeNodes) -> None:
    q = np.ones(DIMENSIONS, np.float32)
    with opened(folder, nodes, copies=1) as index, Index.open(str(folder)) as plain:
        assert index.settle()
        lost = set(nodes.all["a"].holder._held)
        for name in "bc":
            nodes.all[name].full = True  # no node takes a new copy
        nodes.kill("a")
        with pytest.raises(
            UnavailableError, match=r"no node that answers holds rows .* to .* of segment .*partial=True"
        ):
            index.search(q, 5)
        hits = index.search(q, 5, partial=True)
        missing = {row for shard in lost for row in range(shard.first, shard.last)}
        assert hits.result.metrics["missing_rows"] == len(missing)
        assert any("not searched, since no node" in text for text in hits.fallbacks)
        ranked = [hit.id for hit in plain.search(q, 200) if hit.row not in missing]
        assert [hit.id for hit in hits] == ranked[:5]
        for name in "bc":
            nodes.all[name].full = False
        assert index.settle(10)
        assert_same(plain, index, nodes, WAYS[:1])
        for name in "bc":
            nodes.kill(name)
        with pytest.raises(UnavailableError, match=r"and \d+ more shards"):
            index.search(q, 5)
        with pytest.raises(UnavailableError, match="no part of the index can be searched"):
            index.search(q, 5, partial=True)


def test_a_node_that_started_again_or_lies_is_not_believed(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes) as index, Index.open(str(folder)) as plain:
        assert index.settle()
        nodes.all["a"].holder._held.clear()  # it started again, and the coordinator does not know
        assert_same(plain, index, nodes)
        assert index.settle()
        assert nodes.all["a"].holder._held


def test_a_node_refuses_another_generation_shard_or_version_of_deletions(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes) as index:
        assert index.settle()
        holder = nodes.all["a"].holder
        shard = next(iter(holder._held))
        other = Shard("0" * 64, 0, 1)
        q = np.ones((1, DIMENSIONS), np.float32)
        base = Request(1, "mine", {"k": 3}, q, "auto", False)
        for generation, asked, answer in (
            (2, Asked(shard, 0), Behind((shard,), ())),
            (1, Asked(other, 0), Behind((other,), ())),
            (1, Asked(shard, 0, "v"), Behind((), ("v",))),
        ):
            assert holder.search(Request(generation, *_rest(base), (asked,))) == answer
        # A mask is taken only if its content is the version that the request names.
        masks = {"v": np.zeros(5, np.uint8)}
        assert holder.search(Request(1, *_rest(base), (Asked(shard, 0, "v"),), masks)) == Behind((), ("v",))


def _rest(request: Request) -> tuple[Any, ...]:
    return request.operator, request.options, request.q, request.device, request.strict


def test_a_slow_node_is_replaced_and_asked_last(folder: Path, nodes: FakeNodes) -> None:
    with opened(folder, nodes, timeout_s=0.3) as index, Index.open(str(folder)) as plain:
        assert index.settle()
        nodes.all["c"].gate.clear()
        hits = index.search(np.ones(DIMENSIONS, np.float32), 5)
        assert hits.fallbacks == ("c: no answer within 0.3 s",)
        nodes.all["c"].asked.clear()
        assert_same(plain, index, nodes, WAYS[:2])
        assert not nodes.all["c"].asked
        nodes.all["c"].gate.set()


def test_searches_and_writes_at_once_are_answered_as_of_one_version(folder: Path, nodes: FakeNodes) -> None:
    """Every answer equals a scan of the rows of the snapshot, while rows are deleted, added and compacted."""
    wrong: list[str] = []
    stop = threading.Event()
    scheduler = nodes.all["a"].holder.scheduler
    with opened(folder, nodes, "w") as index:

        def asks(seed: int) -> None:
            random = np.random.default_rng(seed)
            while not stop.is_set():
                q = random.normal(0, 1, DIMENSIONS).astype(np.float32)
                with index.snapshot() as snapshot:
                    found = snapshot.search(q, 7, scheduler=scheduler)
                    wanted = scheduler.run("mine", q[None], snapshot.database, k=7, device="cpu").values
                    if [hit.row for hit in found] != wanted["ids"][0].tolist():
                        wrong.append(f"{[hit.row for hit in found]} {wanted['ids'][0]}")

        threads = [threading.Thread(target=asks, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for n in range(6):
            index.delete([f"id {i}" for i in range(n, ROWS, 17)])
            index.upsert(entries(20, ROWS + 20 * n), vectors_of(20, n))
            if n % 2:
                index.compact()
        stop.set()
        for thread in threads:
            thread.join(30)
    assert wrong == []


def test_bad_values_are_refused(folder: Path, nodes: FakeNodes) -> None:
    for more, said in (
        ({"copies": 0}, "copies must be at least 1, not 0"),
        ({"timeout_s": 0}, "timeout_s must be more than 0, not 0"),
    ):
        with pytest.raises(InputError, match=said):
            opened(folder, nodes, **more)
    with pytest.raises(InputError, match="needs nodes"):
        ShardedIndex.open(str(folder))
    with opened(folder, nodes) as index, pytest.raises(InputError, match="k must be"):
        index.search(np.ones(DIMENSIONS, np.float32), 0)
