"""Index with a bound: evictions by use, the nursery, anchors, uses that readers send, and merged near duplicates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ninefold.host.commands.index import index as command
from ninefold.host.index import Index, Written, bounded, build
from ninefold.host.index.duplicates import near_duplicates
from ninefold.host.index.update import changed, update
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.errors import InputError
from tests.host.index.made import entries_of, made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that the index sees, in seconds."""
    now = [1000.0]
    monkeypatch.setattr(bounded, "time", type("Clock", (), {"time": staticmethod(lambda: now[0])}))
    return now


@pytest.fixture
def index(tmp_path: Path, clock: list[float]) -> Iterator[Index]:
    made(tmp_path / "index", vectors_of(4)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.bound(8)
        yield index


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(costs=None) as scheduler:
        yield scheduler


def ids(index: Index) -> set[str]:
    return {entry.id for entry in index}


def names(*numbers: int) -> set[str]:
    return {f"id {n}" for n in numbers}


def found(index: Index, *numbers: int) -> None:
    """Tell the writer that a search found some entries, each alone."""
    with index._content.reading() as (tables, _):  # type: ignore[union-attr]
        for number in numbers:
            sequence = tables.sequence(f"id {number}")
            assert sequence is not None
            bounded.send(index.folder, [sequence], np.ones(1, np.float32), np.zeros(1, np.float32))


def test_a_full_index_evicts_what_was_never_found_first(index: Index, clock: list[float], scheduler: Scheduler) -> None:
    found(index, 0)
    clock[0] += 10
    assert index.upsert(entries_of(4, 4), vectors_of(4, 1)) == Written(4)
    clock[0] += 10
    written = index.upsert(entries_of(2, 8), vectors_of(2, 2))
    assert written == Written(2, evicted=2)
    assert ids(index) == names(0, 3, 4, 5, 6, 7, 8, 9)  # 1 and 2 are older than 3, and 0 was found
    index.verify()
    assert index.bounds == bounded.BoundStatus(8, nursery=4, used=1, anchored=0)


def test_an_entry_that_is_not_found_again_is_evicted_in_time(index: Index, clock: list[float]) -> None:
    found(index, 0, 1)
    for _ in range(3):
        clock[0] += 1000
        found(index, 1)
    index.upsert(entries_of(9, 4), vectors_of(9, 1))
    assert ids(index) == names(0, 1, 7, 8, 9, 10, 11, 12)
    found(index, *range(7, 12))
    clock[0] += 10
    index.upsert(entries_of(3, 20), vectors_of(3, 3))
    # Of entries that were all found, first the one that was found long ago, then those that were found once.
    assert ids(index) == names(1, 9, 10, 11, 12, 20, 21, 22)


def test_the_nursery_is_not_evicted_while_there_are_others(
    index: Index, clock: list[float], scheduler: Scheduler
) -> None:
    found(index, *range(4))
    clock[0] += 1
    index.upsert(entries_of(4, 4), vectors_of(4, 1))
    index.upsert(entries_of(1, 8), vectors_of(1, 2))
    assert names(5, 6, 7, 8) < ids(index)  # the newest four, of which none was found
    assert len(index) == 8
    # One write of more than fits keeps what was promoted, and its own last entries.
    assert index.upsert(entries_of(20, 30), vectors_of(20, 2)) == Written(20, evicted=20)
    assert ids(index) == names(*range(4), *range(46, 50))


def test_anchored_entries_stay(index: Index) -> None:
    assert index.anchor(["id 0", "id 2", "absent"]) == 2
    assert index.anchor(["id 0"]) == 0
    index.upsert(entries_of(30, 4), vectors_of(30, 1))
    index.upsert([Entry("id 0", "", "changed")], vectors_of(1, 5))
    index.upsert(entries_of(30, 50), vectors_of(30, 1))
    assert names(0, 2) < ids(index)
    assert len(index) == 8
    assert index.anchor(["id 0"], anchored=False) == 1
    index.upsert(entries_of(30, 90), vectors_of(30, 1))
    assert "id 0" not in ids(index)
    with pytest.raises(InputError, match="of 8 entries at most 7 may be anchored, as new ones need a place, not 8"):
        index.anchor([entry.id for entry in index])
    assert index.bounds.anchored == 1
    with pytest.raises(InputError, match="of 1 entries at most 0 may be anchored, as new ones need a place, not 1"):
        index.bound(1)
    assert index.max_entries == 8


def test_an_anchored_entry_stays_though_others_are_used_or_new(index: Index) -> None:
    index.anchor(["id 0"])
    found(index, 1, 2, 3)
    index.upsert(entries_of(6, 4), vectors_of(6, 1))
    assert ids(index) == names(0, 1, 2, 3, 6, 7, 8, 9)
    index.upsert(entries_of(3, 10), vectors_of(3, 1))
    assert "id 0" in ids(index)
    index.anchor(["id 9", "id 10", "id 11", "id 12"])
    index.upsert(entries_of(20, 20), vectors_of(20, 1))
    assert names(0, 9, 10, 11, 12) < ids(index)


def test_a_bound_may_change_or_end(index: Index) -> None:
    index.upsert(entries_of(4, 4), vectors_of(4, 1))
    assert index.bound(3).evicted == 5
    assert ids(index) == names(5, 6, 7)
    index.bound(None)
    index.upsert(entries_of(9, 20), vectors_of(9, 1))
    assert len(index) == 12
    assert index.max_entries is None
    with pytest.raises(InputError, match="entries are anchored in an index with a bound only"):
        index.anchor(["id 5"])
    for bad in (0, -1, True, 2.5):
        with pytest.raises(InputError, match="max_entries must be an integer of at least 1, not"):
            index.bound(bad)  # type: ignore[arg-type]


def fail_after(index: Index, entries: list[Entry]) -> None:
    """Add entries in a transaction that fails."""
    with index.transaction():
        index.upsert(entries, vectors_of(len(entries), 2))
        index.upsert(entries, vectors_of(1))


def test_eviction_is_in_the_commit_of_what_is_added(index: Index) -> None:
    index.upsert(entries_of(4, 4), vectors_of(4, 1))
    before = index.snapshot()
    with pytest.raises(InputError, match="vectors must be floats"):
        fail_after(index, entries_of(3, 8))
    assert ids(index) == names(*range(8))
    with index.transaction() as written:
        index.upsert(entries_of(3, 8), vectors_of(3, 2))
        assert len(index) == 8
    assert written == Written(3, evicted=3)
    with before:
        assert {entry.id for entry in before} == names(*range(8))
    assert index.upsert(entries_of(1, 11), vectors_of(1), key="once").evicted == 1
    assert index.upsert(entries_of(1, 11), vectors_of(1), key="once").evicted == 1
    assert len(index) == 8


def test_uses_are_counted_with_the_next_commit_and_may_be_lost(index: Index, scheduler: Scheduler) -> None:
    with Index.open(str(index.folder)) as reader:
        for row in (2, 2, 3):
            reader.search(row, 1, device="cpu", scheduler=scheduler)
    file = index.folder / "uses.log"
    assert index.bounds.used == 0
    with file.open("ab") as torn:
        torn.write(b"half a use")
    index.delete(["absent"])
    assert not file.exists()
    assert 1 <= index.bounds.used <= 2
    file.write_bytes(np.random.default_rng(9).bytes(2400))
    index.delete(["absent"])
    assert 1 <= index.bounds.used <= 2
    index.verify()
    file.mkdir()  # a reader that cannot write can still search
    assert len(index.search(2, 3, device="cpu", scheduler=scheduler)) == 3
    file.rmdir()


def test_only_the_best_hit_of_a_query_is_a_use(index: Index, scheduler: Scheduler) -> None:
    index.search([0, 2], 4, device="cpu", scheduler=scheduler)
    index.delete(["absent"])
    with index._content.reading() as (tables, _):  # type: ignore[union-attr]
        rows = tables.bounds.rows()[1]
    assert rows["uses"].tolist() == [1, 0, 1, 0]
    assert rows["resonance"][[0, 2]].tolist() == pytest.approx([1, 1], abs=1e-6)  # float32 sums
    assert index.bounds.used == 2


def test_an_index_without_a_bound_counts_no_uses(tmp_path: Path, scheduler: Scheduler) -> None:
    with made(tmp_path / "plain", vectors_of(5)) as index:
        index.search(2, 1, device="cpu", scheduler=scheduler)
    assert not (tmp_path / "plain" / "uses.log").exists()


def test_commands_bound_anchor_and_merge(tmp_path: Path) -> None:
    source, index = tmp_path / "rows.npy", f"{tmp_path}/index"
    np.save(source, np.concatenate([vectors_of(4), vectors_of(4) * np.float16(1.5), vectors_of(4, 3)]))

    def run(*words: str) -> str:
        result = CliRunner().invoke(command, [*words])
        assert result.exit_code == 0, result.output
        return result.output

    run(str(source), "-o", index, "--max-entries", "12")
    assert "2 entries anchored; not found: 99" in run("anchor", index, "4", "5", "99")
    assert "1 entry released" in run("anchor", index, "5", "--release")
    assert "4 near duplicates merged into others" in run("compact", index, "--merge", "0.95")
    told = run("info", index)
    assert "at most 12 entries: the newest 6 are a nursery, 0 were found by searches, 1 are anchored" in told
    assert "4 near duplicates merged into others: " in told
    assert "0 -> 4" in told
    status = json.loads(run("info", index, "--json"))
    assert status["merged"] == {"0": "4", "5": "1", "6": "2", "7": "3"}
    assert status["bound"] == {"max_entries": 12, "nursery": 6, "used": 0, "anchored": 1}
    np.save(source, vectors_of(20, 8))
    assert "evicted" in run(str(source), "-o", index, "--update", "--max-entries", "10")


def test_an_index_of_an_earlier_version_has_the_tables_once_it_is_opened(tmp_path: Path) -> None:
    made(tmp_path / "index", vectors_of(5)).close()
    with lmdb.open(str(tmp_path / "index"), max_dbs=9) as environment, environment.begin(write=True) as transaction:
        for name in (b"uses", b"redirects"):
            transaction.drop(environment.open_db(name, transaction), delete=True)
    with Index.open(str(tmp_path / "index")) as index:
        assert index.get("id 7") is None
    with Index.open(str(tmp_path / "index"), "w") as index:
        assert index.bound(3).evicted == 2


def test_a_source_of_more_entries_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "rows.npy"
    np.save(source, vectors_of(9))
    with pytest.raises(InputError, match=r"rows\.npy holds 9 entries, and the index at most 8"):
        build(str(source), str(tmp_path / "index"), max_entries=8)
    build(str(source), str(tmp_path / "index"), max_entries=9)
    np.save(source, vectors_of(12))
    assert update(str(source), str(tmp_path / "index")).written == Written(3, evicted=3)
    assert update(str(source), str(tmp_path / "index"), max_entries=4).written.evicted >= 5
    with Index.open(str(tmp_path / "index")) as index:
        assert len(index) == index.max_entries == 4


# Any changes keep the bound, the anchored entries, and tables that agree.

_CHANGE = st.one_of(
    st.tuples(st.just("upsert"), st.lists(st.integers(0, 30), min_size=1, max_size=14, unique=True)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 30), max_size=4)),
    st.tuples(st.just("anchor"), st.lists(st.integers(0, 30), max_size=3)),
    st.tuples(st.just("release"), st.lists(st.integers(0, 30), max_size=3)),
    st.tuples(st.just("found"), st.lists(st.integers(0, 60), max_size=5)),
    st.tuples(st.just("bound"), st.lists(st.integers(4, 12), min_size=1, max_size=1)),
    st.tuples(st.just("merge"), st.just([])),
    st.tuples(st.just("compact"), st.just([])),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(_CHANGE, min_size=1, max_size=10))
def test_the_bound_holds_after_every_commit(
    tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler, changes: list[tuple[str, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("bounded") / "index"
    made(folder, vectors_of(4)).close()
    most, anchored = 8, set[str]()
    with Index.open(str(folder), "w") as index:
        index.bound(most)
        for kind, numbers in changes:
            wanted = [f"id {n}" for n in numbers]
            if kind == "upsert":
                index.upsert([Entry(name, "", kind) for name in wanted], vectors_of(len(wanted), len(wanted)))
            elif kind == "delete":
                index.delete(wanted)
                anchored -= set(wanted)
            elif kind in ("anchor", "release"):
                there = set(wanted) & ids(index)
                after = anchored | there if kind == "anchor" else anchored - there
                if len(after) < most:
                    assert index.anchor(wanted, anchored=kind == "anchor") == len(after ^ anchored)
                    anchored = after
                else:
                    with pytest.raises(InputError, match="may be anchored"):
                        index.anchor(wanted)
            elif kind == "found":
                ones = np.ones(len(numbers), np.float32)
                bounded.send(folder, numbers, ones, 0 * ones)
            elif kind == "bound" and numbers[0] > len(anchored):
                (most,) = numbers
                index.bound(most)
            elif kind == "merge":
                there = ids(index)
                merged = index.merge_duplicates(0.9, scheduler=scheduler)
                assert len(index) == len(there) - merged
                assert all(index.get(name) is not None for name in there)
            elif kind == "compact":
                index.compact()
            assert len(index) <= most
            assert anchored <= ids(index)
            assert index.bounds.anchored == len(anchored)
            index.verify(pages=False)
            with index._content.reading() as (tables, version):  # type: ignore[union-attr]
                assert np.array_equal(tables.bounds.rows()[0], version.parts.sequence)


# Near duplicates.


def test_near_duplicates_are_found_as_by_comparing_all(tmp_path: Path, scheduler: Scheduler) -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(0, 1, (1500, 24))
    vectors[1000:] = vectors[:500] + random.normal(0, 0.12, (500, 24))
    vectors[77] = vectors[78] = vectors[79] = 0
    with made(tmp_path / "index", vectors) as index, index.snapshot() as snapshot:
        kept = snapshot.vectors.astype(np.float64)
        lengths = np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-9)
        overlaps = ((kept / lengths) @ (kept / lengths).T) ** 2
        wanted = {(int(a), int(b)) for a, b in np.argwhere(np.triu(overlaps >= 0.95, 1))}
        assert 400 < len(wanted) < 600
        pairs, found = near_duplicates(scheduler, snapshot.parts, 0.95)
    told = {(int(a), int(b)) for a, b in pairs}
    assert told <= wanted  # no overlap is so near 0.95 that precisions differ
    assert len(told) >= 0.95 * len(wanted)
    assert np.allclose(found, overlaps[pairs[:, 0], pairs[:, 1]], atol=1e-5)  # float32 sums


def twins(index: Index) -> None:
    """Give entries 10 to 13 the vectors of entries 0 to 3, nearly."""
    index.upsert(entries_of(4, 10), vectors_of(4) * np.float16(1.5))


def test_merged_ids_answer_the_entry_that_was_kept(index: Index, clock: list[float], scheduler: Scheduler) -> None:
    index.bound(None)
    twins(index)
    index.bound(20)
    index.anchor(["id 13"])
    assert index.merge_duplicates(scheduler=scheduler) == 4
    assert ids(index) == names(0, 1, 2, 13)  # the older one of each pair, or the anchored one
    assert index.get("id 11") == index.get("id 1")
    assert index.get("id 3") == index.get("id 13") == Entry("id 13", "a title", "text 13")
    with index.snapshot() as snapshot:
        assert dict(snapshot.redirects()) == {"id 10": "id 0", "id 11": "id 1", "id 12": "id 2", "id 3": "id 13"}
        assert snapshot.kept(Entry("id 10", "", "text 10")) == "id 0"
        assert snapshot.kept(Entry("id 10", "", "changed")) is None
    index.verify()
    # An id that is added, replaced or deleted is no longer answered by another entry.
    index.upsert([Entry("id 10", "", "again")], vectors_of(1, 7))
    assert index.get("id 10") == Entry("id 10", "", "again")
    index.upsert([Entry("id 1", "", "changed")], vectors_of(1, 8))
    assert index.get("id 11") is None
    assert index.delete(["id 12", "id 11"]).removed == 1
    assert index.get("id 12") is None
    assert index.get("id 2") is not None
    # A kept entry that is merged later takes its redirects along.
    index.upsert([Entry("id 20", "", "twin")], vectors_of(4)[3:] * np.float16(2))
    index.anchor(["id 13"], anchored=False)
    index.anchor(["id 20"])
    assert index.merge_duplicates(scheduler=scheduler) == 1
    assert index.get("id 3") == index.get("id 13") == index.get("id 20")
    index.delete(["id 20"])
    assert index.get("id 3") is None


def test_the_more_used_entry_is_kept_and_inherits_uses(index: Index, scheduler: Scheduler) -> None:
    twins(index)
    found(index, 0, 10, 10)
    index.delete([])  # a commit
    assert index.merge_duplicates(scheduler=scheduler) == 4
    assert "id 10" in ids(index)
    assert "id 0" not in ids(index)
    with pytest.raises(InputError, match=r"the overlap from which .* above 0 and at most 1, not 1\.5"):
        index.merge_duplicates(1.5)


def test_an_update_leaves_merged_entries_merged(index: Index, scheduler: Scheduler) -> None:
    index.bound(None)
    twins(index)
    source = [*entries_of(4), *entries_of(4, 10)]
    assert index.merge_duplicates(scheduler=scheduler) == 4
    with index.snapshot() as before:
        assert changed(source, before, delete=True) == []
        # An entry whose own text differs is there no more, nor one whose kept entry is replaced or deleted.
        source[5] = Entry("id 11", "", "changed")
        assert changed(source, before, delete=False) == [source[5]]
        source[0] = Entry("id 0", "", "changed")
        assert changed(source, before, delete=False) == [source[0], source[4], source[5]]
        assert changed(source[3:], before, delete=True) == [*source[4:7]]


def test_an_update_evicts_nothing_if_a_larger_bound_or_its_deletions_make_room(tmp_path: Path) -> None:
    source, index = tmp_path / "entries.npy", f"{tmp_path}/index"
    np.save(source, vectors_of(12))
    build(str(source), index, max_entries=12)
    np.save(source, vectors_of(20, 8))
    assert update(str(source), index, max_entries=20).written.evicted == 0
    with Index.open(index, "w") as writer:
        writer.delete(["0", "1"])
        writer.upsert(entries_of(2), vectors_of(2, 9))
    assert update(str(source), index, delete=True).written == Written(2, 0, 2)
    with Index.open(index) as reader:
        assert len(reader) == 20
