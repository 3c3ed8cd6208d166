"""Tiers of a live index find what its rows hold, stage by stage, and move lists by what is asked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.index import Index, bounded, generations, recalibrate, tier_lists, tiered
from ninefold.host.index.diagnosis import diagnose
from ninefold.host.index.lists import all_lists, centroids_of
from ninefold.host.index.tier_record import TierRecord
from ninefold.host.index.tiered import Tiers
from ninefold.host.scheduler import Scheduler
from ninefold.host.tiers import Tier, TierSizes
from ninefold.host.tiers.routing import Thresholds
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.index.made import clustered, entries_of, made

DIMENSIONS, ROWS = 16, 1500
SMALL = TierSizes(2, 6)


def vectors_of(rows: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(0, 1, (rows, DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def index_with_clusters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clustered") / "index"
    clustered(folder, vectors_of(ROWS, 0))
    return folder


@pytest.fixture
def folder(index_with_clusters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and a small latency of moves."""
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.setattr(tier_lists, "_SETTLE_EVERY", 1)
    shutil.copytree(index_with_clusters, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(backends={"cpu": Cpu()}, costs=None) as made_:
        yield made_


def question(index: Index, row: int) -> np.ndarray:
    return np.asarray(index.vectors[row], np.float32)


def ids(hits: Any) -> list[str]:
    return [hit.id for hit in hits]


def test_each_stage_finds_the_best_rows_of_its_lists(folder: Path, scheduler: Scheduler) -> None:
    index = Index.open(str(folder))
    with index.snapshot() as snapshot:
        lists = dict(all_lists(snapshot.parts, centroids_of(snapshot)[0]))
        sequence, vectors = snapshot.parts.sequence, np.asarray(snapshot.vectors, np.float64)
    assert sum(len(rows) for rows in lists.values()) == ROWS
    seen = set()
    with index.tiers(scheduler, sizes=TierSizes(6, 20), lists=12) as tiers:
        for number in range(60):
            q = question(index, number % 7) + np.float32(0.01)
            before = tiers.content.layout
            tiers.thresholds = [
                Thresholds(0, 0, 0),
                Thresholds(None, 0, 0),
                Thresholds(None, None, 0),
                Thresholds(None, None, None),
            ][number % 4]
            hits = tiers.search(q, 5, rerank=16, time_s=float(number))
            tiers.flush()
            assert hits.route is not None
            stage = hits.route.stage
            assert stage == ("hot", "warm", "cold", "exact")[number % 4]
            assert hits.route.confident == (stage != "exact")
            near = [
                n for n, t in zip(hits.route.lists, hits.route.tiers, strict=True) if stage == "cold" or t != "cold"
            ]
            chosen = {*before.hot, *(near if stage != "hot" else ())} & set(lists)
            inside = [lists[n].sequence for n in sorted(chosen)]
            rows = np.arange(ROWS)
            if stage != "exact":
                rows = np.searchsorted(sequence, np.sort(np.concatenate(inside))) if inside else rows[:0]
            scores = vectors[rows] @ q.astype(np.float64)
            order = np.lexsort((rows, -scores))[:5]
            assert [hit.row for hit in hits] == rows[order].tolist()
            assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist())
            seen |= {(stage, tier) for tier in hits.route.tiers}
    assert {("hot", "hot"), ("warm", "warm"), ("cold", "cold")} <= seen


def test_a_topic_becomes_hot_and_stays_so(folder: Path, scheduler: Scheduler) -> None:
    index = Index.open(str(folder))
    q = question(index, 9)
    with index.tiers(scheduler, sizes=SMALL, lists=1) as tiers:
        routes = []
        for number in range(8):
            routes.append(tiers.search(q, 3, time_s=1e6 + number).route)
            tiers.flush()
        assert [route.tiers[0] for route in routes if route is not None][:2] == ["cold", "hot"]
        assert routes[-1] is not None
        assert (routes[-1].tiers, routes[-1].stage) == (("hot",), "hot")
        assert routes[-1].confidence == pytest.approx(1, abs=1e-3)
        counts, (number,) = tiers.record.counts, routes[-1].lists
        assert counts.lookups["cold"] == 1
        assert sum(counts.lookups.values()) == 8
        assert counts.misses == 1
        text = scheduler.metrics()
        assert f'ninefold_tier_lookups_total{{index="{index.called}",tier="cold"}} 1.0' in text
        assert f'ninefold_tier_lists{{index="{index.called}",tier="hot"}} 1.0' in text
        tiers.thresholds = Thresholds(0.5, None, None)
    assert "ninefold_tier_lists" not in scheduler.metrics()
    known = TierRecord.read(folder / "tiers")
    assert known is not None
    assert known.hot == [number]
    assert known.hottest[0][0] == number
    assert known.hottest[0][1] > 0.1
    assert 0 < known.hot_bytes < known.nbytes
    # Another process continues.
    with index.tiers(scheduler) as tiers:
        assert tiers.record.counts == known.counts
        hits = tiers.search(q, 3)
        assert hits.route is not None
        assert (hits.route.tiers, hits.route.stage) == (("hot",), "hot")
        assert tiers.thresholds == Thresholds(0.5, None, None)
    with index.tiers(scheduler, rebuild=True) as tiers:
        assert tiers.record.hot == []
        assert (tiers.record.sizes, tiers.record.lists) == (known.sizes, known.lists)
        assert tiers.thresholds == Thresholds()


@pytest.mark.parametrize("written", [False, True])
def test_changes_of_the_index_are_seen_by_every_stage(
    folder: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    monkeypatch.setattr(tier_lists, "_NEWER_ROWS", 10 if written else 1000)
    with Index.open(str(folder), "w") as index, index.tiers(scheduler, sizes=SMALL, lists=8) as tiers:
        q = question(index, 9)
        best = ids(tiers.search(q, 3, time_s=0.0))
        tiers.flush()
        for number in range(4):
            tiers.search(q, 3, time_s=float(number))
        tiers.flush()
        fresh = np.repeat(q[None], 20, axis=0) * np.linspace(1.05, 1.2, 20, dtype=np.float32)[:, None]
        index.upsert(entries_of(20, 5000), fresh)
        index.delete([best[0]])
        # Rows in files are found in their lists only.
        stages = [Thresholds(None, None, 0), *((Thresholds(0, 0, 0), Thresholds(None, 0, 0)) if not written else ())]
        for number in range(10, 14):
            for thresholds in stages:
                tiers.thresholds = thresholds
                found = ids(tiers.search(q, 22, rerank=8, time_s=float(number)))
                assert found[:20] == [f"id {n}" for n in range(5019, 4999, -1)]
                assert best[0] not in found
                tiers.flush()
        assert (tiers.record.upto > ROWS) == written
        stored = sum(path.stat().st_size for path in tiers.folder.glob("*.cold"))
        assert (tiers.record.stored, sum(tiers.record.rows)) == (stored, ROWS + 20 * written)


def test_a_new_generation_resets_momentum(folder: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "CLUSTERED_ROWS", ROWS)
    index = Index.open(str(folder))
    q = question(index, 9)
    with index.tiers(scheduler, sizes=SMALL, lists=2) as tiers:
        for number in range(8):
            tiers.search(q, 3, time_s=1e9 + number)
        tiers.flush()
        assert tiers.content.layout.hot
        recalibrate.recalibrate(str(folder))
        hits = tiers.search(q, 3, time_s=0.0)  # the clock starts again, too
        assert hits.route is not None
        assert hits.route.tiers == ("cold", "cold")
        assert ids(hits)[0] == "id 9"
        tiers.flush()
        assert (tiers.record.generation, tiers.record.sizes, tiers.record.lists) == (3, SMALL, 2)
        assert sum(tiers.record.counts.lookups.values()) == 2
        assert tiers.record.hottest == []


def test_damaged_files_are_named(folder: Path, scheduler: Scheduler) -> None:
    index = Index.open(str(folder))
    q = question(index, 9)
    with index.tiers(scheduler, sizes=SMALL, lists=1) as tiers:
        tiers.thresholds = Thresholds(None, None, 0)
        route = tiers.search(q, 1, time_s=0.0).route
        assert route is not None
        path = tiers.content.store.path(route.lists[0])
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    message = rf"^{re.escape(str(path))} is damaged: .*; `ninefold tiers .* --rebuild` writes all lists again$"
    with pytest.raises(DamagedDataError, match=message):  # the list is warm
        index.tiers(scheduler)
    with index.tiers(scheduler, rebuild=True) as tiers:
        path.unlink()
        tiers.thresholds = Thresholds(None, None, 0)
        with pytest.raises(DamagedDataError, match=rf"^{re.escape(str(path))} is missing; "):
            tiers.search(q, 1, time_s=1.0)
        # Its move fails in the background if the question ended before.
        tiers.thresholds = Thresholds(0, None, None)
        tiers.search(q, 1, time_s=2.0)
        with pytest.raises(DamagedDataError, match=rf"^{re.escape(str(path))} is missing; "):
            tiers.flush()
        assert tiers.content._placement.tier(route.lists[0]) is Tier.COLD
        tiers.flush()
    memory = folder / "tiers" / "momentum.npz"
    kept = memory.read_bytes()
    memory.write_bytes(kept[:-5])
    with pytest.raises(DamagedDataError, match=rf"^{re.escape(str(memory))} is not .* --rebuild` writes all lists"):
        index.tiers(scheduler)
    memory.write_bytes(kept)
    record = folder / "tiers" / "tiers.json"
    record.write_text(record.read_text()[:-9])
    with pytest.raises(
        DamagedDataError, match=rf"^{re.escape(str(record))} is damaged: .* --rebuild` writes it again$"
    ):
        index.tiers(scheduler)


def test_a_diagnosis_reads_the_files_of_tiers(folder: Path, scheduler: Scheduler) -> None:
    with Index.open(str(folder)) as index, index.tiers(scheduler, sizes=SMALL) as tiers:
        tiers.search(question(index, 9), 1, time_s=0.0)
        paths = [tiers.content.store.path(number) for number, rows in enumerate(tiers.record.rows) if rows]
    assert not diagnose(str(folder)).damaged
    *missing, cut = paths[:7]
    for path in missing:
        path.unlink()
    cut.write_bytes(cut.read_bytes()[:-5])
    advice = f"`ninefold tiers {folder} --rebuild` writes all lists again"
    found = diagnose(str(folder))
    assert found.damaged
    assert [f"{path} is missing" for path in missing] == list(found.tiers[:6])
    assert found.tiers[6].startswith(f"{cut} is damaged: ")
    assert found.lines()[5:] == ["and 2 more files of its tiers", f"no entry is lost: {advice}"]
    memory = folder / "tiers" / "momentum.npz"
    memory.write_bytes(b"")
    assert diagnose(str(folder)).tiers[7].startswith(f"{memory} is not a complete file")
    record = folder / "tiers" / "tiers.json"
    record.write_text("{")
    assert [line.partition(":")[0] for line in diagnose(str(folder)).lines()] == [
        f"{record} is damaged",
        "no entry is lost",
    ]
    Index.open(str(folder)).tiers(scheduler, rebuild=True).close()
    assert not diagnose(str(folder)).damaged


def test_bad_input_is_refused(folder: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.open(str(folder))
    q = question(index, 9)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"lists": 1.5}, "lists must be an integer, not 1.5"),
        ({"lists": 33}, "a question must use 1 to 32 lists, not 33"),
        ({"sizes": TierSizes(200, 825)}, "the tiers must have at most all 1024 lists, not 200 hot and 825 warm"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            index.tiers(scheduler, **options)
    assert not list((folder / "tiers").glob("*.cold"))
    with index.tiers(scheduler, sizes=SMALL):
        pass
    with pytest.raises(InputError, match=r"^the tiers must have at most all 1024 lists, not 32 hot and 2000 warm$"):
        index.tiers(scheduler, sizes=TierSizes(32, 2000))  # whose lists are written already
    with index.tiers(scheduler) as tiers:
        assert tiers.record.sizes == SMALL
        tiers.search(q, time_s=10.0)
        for search, message in [
            ({"time_s": 9.5}, r"time must not run backwards: 9.5 is before 10.0, the last one"),
            ({"time_s": float("nan")}, r"time must not run backwards: nan is before 10.0, the last one"),
            ({"urgency": 2.0}, "urgency must be 0 to 1, not 2.0"),
            ({"k": 0}, "k must be"),
            ({"k": 100, "rerank": 4}, r"rerank \* k must be 1 to 256, not 400"),
        ]:
            with pytest.raises(InputError, match=message):
                tiers.search(q, **search)
        with pytest.raises(InputError, match=r"the query has 3 dimensions"):
            tiers.search(np.ones(3, np.float32))
        with pytest.raises(InputError, match=r"^questions must have shape \(Q, 16\), not \(30, 3\)$"):
            tiers.calibrate(0.9, questions=np.zeros((30, 3), np.float32))
        monkeypatch.setattr(tiered, "WriterLock", lambda folder: type(tiers._lock)(folder, 0.0))
        with pytest.raises(InputError, match=r"tiers is being written by process \d+"):
            index.tiers(scheduler)
        tiers.flush()
        assert sum(tiers.record.counts.answers.values()) == 1
    with pytest.raises(InputError, match=r"^the tiers of .* are closed$"):
        tiers.search(q)
    made(folder.parent / "plain", vectors_of(50, 3), scale=4.0).close()
    with pytest.raises(InputError, match=r"has no clusters, whose lists tiers hold: an index gets them from 49,152"):
        Index.open(str(folder.parent / "plain")).tiers(scheduler)
    assert not (folder.parent / "plain" / "tiers").exists()


def test_thresholds_are_calibrated(folder: Path, scheduler: Scheduler) -> None:
    index = Index.open(str(folder))
    with index.tiers(scheduler, sizes=SMALL, lists=32) as tiers:
        found = tiers.calibrate(0.5, k=3, count=60)
        assert found.recall >= 0.5
        assert found.questions == 60
        assert found.shares["cold"] > 0.5  # nothing is hot or warm yet
        assert tiers.thresholds == found.thresholds
        assert sum(tiers.record.counts.answers.values()) == 0
        assert tiers.calibrate(1.0, questions=np.asarray(index.vectors[:40], np.float32)).recall == 1
    known = TierRecord.read(folder / "tiers")
    assert known is not None
    assert known.thresholds == tiers.thresholds


def test_a_search_of_an_index_is_routed(folder: Path, scheduler: Scheduler) -> None:
    with Index.open(str(folder)) as index:
        queries = [question(index, 9), question(index, 10)]
        with index.tiers(scheduler, sizes=SMALL, lists=2):
            pass
        first = index.search(queries, 3, route=True)
        assert [ids(hits)[0] for hits in first] == ["id 9", "id 10"]
        assert all(hits.route is not None for hits in first)
        assert index.search(queries[0], 3).route is None
        # Another scheduler takes the tiers over.
        hits = index.search(queries[0], 3, route=True, scheduler=scheduler)
        assert hits.route is not None
        assert "cold" not in hits.route.tiers
        for name, value in (("recall", 0.9), ("scan", "signs"), ("macro", 4), ("where", "x == 1")):
            with pytest.raises(InputError, match=rf"^route chooses what is scanned: leave out {name} {value}$"):
                index.search(queries[0], 3, route=True, **{name: value})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="unexpected keyword argument 'rank'"):
            index.search(queries[0], 3, route=True, rank=2)  # type: ignore[call-overload]
    known = TierRecord.read(folder / "tiers")
    assert known is not None
    assert sum(known.counts.answers.values()) == 3


def test_a_task_and_urgency_end_a_question_earlier(folder: Path, scheduler: Scheduler) -> None:
    with Index.open(str(folder), "w") as index, index.tiers(scheduler, sizes=SMALL) as tiers:
        (entry,) = entries_of(1, 7000)
        q = question(index, 9)
        near = (q + np.random.default_rng(1).normal(0, 0.2, DIMENSIONS)).astype(np.float32)
        index.upsert([type(entry)(entry.id, entry.title, entry.text, {"task": "plan"})], near[None])
        tiers.thresholds = Thresholds(None, None, None)
        plain, same, other, urgent = (
            tiers.search(q, 1, time_s=0.0, **options).route
            for options in ({}, {"task": "plan"}, {"task": "x"}, {"urgency": 1.0})
        )
        assert plain is not None
        assert same is not None
        assert other is not None
        assert urgent is not None
        if plain.confidence < 0.8:
            assert same.confidence == pytest.approx(1.15 * plain.confidence)
        assert other.confidence == plain.confidence
        assert urgent.confidence == pytest.approx(min(1, 1.2 * plain.confidence))


def test_the_class_is_what_the_index_returns(folder: Path, scheduler: Scheduler) -> None:
    with Index.open(str(folder)).tiers(scheduler, sizes=SMALL) as tiers:
        assert isinstance(tiers, Tiers)
        tiers.close()
        tiers.close()


def test_what_a_routed_search_finds_is_used_in_a_bounded_index(folder: Path, scheduler: Scheduler) -> None:
    with Index.open(str(folder), "w") as index:
        index.bound(ROWS)
        q = question(index, 9)
        index.search(q, 3, scheduler=scheduler)
        once = (folder / bounded._USES).stat().st_size
        index.search(q, 3, route=True, scheduler=scheduler)
        assert (folder / bounded._USES).stat().st_size == 2 * once
        index.upsert(entries_of(1, 7000), q[None])
        assert len(index) <= ROWS
        # Evicted entries are in files of the tiers, and no longer found.
        found = index.search(q, 5, route=True, scheduler=scheduler)
        assert {hit.id for hit in found} <= {entry.id for entry in index}
        assert "id 7000" in ids(found)
