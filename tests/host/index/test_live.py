"""An index that changes: entries added, replaced and removed, versions, other processes, segments and their upkeep."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from ninefold.host.index import Index, build, environment, merging, writer
from ninefold.host.index.environment import Environment
from ninefold.host.index.locks import WriterLock
from ninefold.host.index.tables import Tables
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.index.made import DIMENSIONS, entries_of, made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made(tmp_path / "index", vectors_of(5)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        yield index


def ids(index: Any) -> list[str]:
    return [entry.id for entry in index]


def segments(index: Index) -> list[str]:
    return sorted(path.name for path in (index.folder / "segments").iterdir())


def test_entries_are_added_replaced_and_removed(index: Index) -> None:
    written = index.upsert(entries_of(3, 5), vectors_of(3, 1))
    assert (written.added, written.replaced, written.removed) == (3, 0, 0)
    written = index.upsert([Entry("id 1", "", "new"), Entry("id 6", "", "new")], vectors_of(2, 2))
    assert (written.added, written.replaced) == (0, 2)
    assert index.delete(["id 0", "id 7", "id 99"]).removed == 2
    assert ids(index) == ["id 2", "id 3", "id 4", "id 5", "id 1", "id 6"]
    assert len(index) == 6
    assert index.get("id 1") == Entry("id 1", "", "new")
    assert index.get("id 0") is None
    kept = np.concatenate([vectors_of(5)[2:5], vectors_of(3, 1)[:1], vectors_of(2, 2)])
    assert np.array_equal(index.vectors, kept)
    assert [index.entry(row).id for row in range(6)] == ids(index)
    with pytest.raises(InputError, match=r"^row must be 0 to 5, not 6$"):
        index.entry(6)
    index.verify()
    with Index.open(str(index.folder)) as again:
        assert ids(again) == ids(index)
        found = again.search(kept[4].astype(np.float32), 6, rerank=1)
        scores = kept.astype(np.float64) @ kept[4].astype(np.float64)
        assert [hit.id for hit in found] == [ids(index)[row] for row in np.argsort(-scores)]
        assert [hit.row for hit in found] == np.argsort(-scores).tolist()


def test_of_repeated_ids_the_last_is_kept(index: Index) -> None:
    written = index.upsert([Entry("a", "", "1"), Entry("b", "", "2"), Entry("a", "", "3")], vectors_of(3, 1))
    assert (written.added, ids(index)[-2:]) == (2, ["b", "a"])
    assert np.array_equal(index.vectors[-2:], vectors_of(3, 1)[1:])


def test_a_snapshot_stays_as_it_is(index: Index) -> None:
    with index.snapshot() as before:
        found = before.search(3, 5, device="cpu")
        index.upsert(entries_of(2, 5), vectors_of(2, 1))
        index.delete(["id 3"])
        index.compact()
        assert (len(before), len(index)) == (5, 6)
        assert ids(before) == [f"id {n}" for n in range(5)]
        again = before.search(3, 5, device="cpu")
        assert [(hit.id, hit.score) for hit in again] == [(hit.id, hit.score) for hit in found]
        assert before.age_s > 0
        # Its files stay until it ends.
        assert len(segments(index)) == 3
    index.compact()
    index.writer.sweep()
    assert len(segments(index)) == 1


def test_a_snapshot_that_nobody_closes_ends_with_its_last_reference(index: Index) -> None:
    environment = index._content.environment  # type: ignore[union-attr]
    snapshot = index.snapshot()
    assert environment.oldest_reader() is not None
    del snapshot
    gc.collect()
    assert environment.oldest_reader() is None


@pytest.mark.parametrize(
    ("entries", "vectors", "message"),
    [
        (1, None, r"holds vectors: upsert needs the vectors of its entries$"),
        (2, np.ones((1, 6)), r"^vectors must be floats of shape \(2, 6\), not float64 \(1, 6\)$"),
        (1, np.ones((1, 6), np.int64), r"^vectors must be floats of shape \(1, 6\), not int64 \(1, 6\)$"),
        (1, np.full((1, 6), np.nan), r"^the vectors must hold finite numbers"),
        (1, np.full((1, 6), 1e6), r"beyond the float16 range"),
    ],
)
def test_refused_entries(index: Index, entries: int, vectors: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        index.upsert(entries_of(entries, 9), vectors)
    assert len(index) == 5


def test_what_is_open_for_reading_or_closed(index: Index) -> None:
    reader = Index.open(str(index.folder))
    with pytest.raises(InputError, match=r'is open for reading; open it with mode "w" to write$'):
        reader.delete(["id 1"])
    reader.close()
    with pytest.raises(InputError, match=r"is closed$"):
        reader.get("id 1")
    with pytest.raises(InputError, match=r"^mode must be one of r, w, not 'a'$"):
        Index.open(str(index.folder), "a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^durability must be one of commit, interval, not 'never'$"):
        Index.open(str(index.folder), "w", durability="never")  # type: ignore[arg-type]


def test_a_transaction_is_all_or_nothing(index: Index) -> None:
    with Index.open(str(index.folder)) as reader:
        with index.transaction() as written:
            index.upsert(entries_of(2, 5), vectors_of(2, 1))
            index.delete(["id 0", "id 5"])
            assert len(reader) == len(index) == 5
        assert (written.added, written.removed, len(reader)) == (2, 2, 5)
        with contextlib.suppress(ZeroDivisionError), index.transaction():
            index.delete(["id 1"])
            raise ZeroDivisionError
        assert reader.get("id 1") is not None
        with pytest.raises(InputError, match="transactions do not nest"), index.transaction(), index.transaction():
            pass
        with pytest.raises(InputError, match="cannot be compacted within a transaction"), index.transaction():
            index.compact()
        assert len(reader) == 5


def test_queued_writes_are_committed_together_in_time(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    commits = []
    write = Environment.write
    monkeypatch.setattr(Environment, "write", lambda self, apply: (commits.append(1), write(self, apply))[1])
    with Index.open(str(index.folder), "w", durability="interval") as queued:
        before = queued.generation
        for n in range(50):
            queued.upsert(entries_of(1, 100 + n), vectors_of(1, n))
        written = queued.delete(["id 0"])
        queued.flush()
        assert (written.removed, len(queued)) == (1, 54)
        assert len(commits) < 25
        queued.upsert(entries_of(1, 200), vectors_of(1))
        until = time.monotonic() + 20
        while queued.get("id 200") is None and time.monotonic() < until:
            time.sleep(0.01)
        assert queued.get("id 200") is not None
        queued.upsert(entries_of(1, 201), vectors_of(1))
    with Index.open(str(index.folder)) as reader:
        assert reader.get("id 201") is not None
        assert reader.generation == before


def test_a_queued_write_that_fails_is_reported(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    queued = Index.open(str(index.folder), "w", durability="interval")
    with monkeypatch.context() as patch:
        patch.setattr(Tables, "add", full)
        queued.upsert(entries_of(1, 9), vectors_of(1))
        with pytest.raises(OSError, match="No space left"):
            queued.flush()
    queued.upsert(entries_of(1, 10), vectors_of(1))
    queued.close()
    with Index.open(str(index.folder)) as reader:
        assert (reader.get("id 9"), reader.get("id 10") is not None) == (None, True)


READ = """
import sys
from ninefold.host.index import Index
index = Index.open(sys.argv[1])
for line in sys.stdin:
    print(len(index), ",".join(hit.id for hit in index.search(0, 3, device="cpu")), flush=True)
"""


def test_another_process_reads_every_commit(index: Index) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", READ, str(index.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child, Scheduler() as scheduler:
        for n in range(4):
            index.upsert(entries_of(1, 5 + n), 9 * vectors_of(1, n))
            if n == 2:
                index.compact()
            child.stdin.write("\n")
            child.stdin.flush()
            here = index.search(0, 3, device="cpu", scheduler=scheduler)
            assert child.stdout.readline().split() == [str(6 + n), *",".join(hit.id for hit in here).split()]
        child.stdin.close()
        assert child.wait(60) == 0


def test_one_writer_at_a_time(index: Index) -> None:
    index.delete(["id 0"])
    lock = WriterLock(index.folder, wait_s=0.05)
    with pytest.raises(InputError, match=rf"index is being written by process {os.getpid()} \(.*\), since .*; one wri"):
        lock.take()
    until = time.monotonic() + 20
    while True:  # an idle writer releases its lock
        try:
            lock.take()
            break
        except InputError:
            assert time.monotonic() < until
    lock.release()
    index.delete(["id 1"])
    assert len(index) == 3


def test_a_child_of_a_fork_holds_no_lock_and_reads_for_itself(index: Index) -> None:
    index.delete(["id 0"])
    reader = Index.open(str(index.folder))
    child = os.fork()
    if child == 0:
        try:
            os._exit(10 + len(reader) if len(reader) == 4 and not index._writer._lock.held else 1)  # type: ignore[union-attr]
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 14
    index.delete(["id 1"])
    assert len(reader) == len(index) == 3


def test_a_transaction_that_is_older_than_the_last_version_reads_its_own_tail(index: Index) -> None:
    index.upsert(entries_of(6, 10), vectors_of(6))
    store = index.writer.store
    transaction, end = store.environment.begin()
    try:
        tables = store.tables(transaction)
        index.delete(["id 10", "id 12"])
        assert len(index.snapshot()) == len(index)
        tail = store.version(tables).tail
        assert len(tail.sequence) == len(tail.nits) == len(tail.vectors) >= 6
    finally:
        end()


def test_a_full_tail_is_sealed_and_many_segments_are_merged(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEALED_ROWS", 4)
    monkeypatch.setattr(merging, "MOST_SEGMENTS", 3)
    whole = vectors_of(5)
    for n in range(12):
        index.upsert(entries_of(4, 5 + 4 * n), vectors_of(4, n))
        index.writer.upkeep()
        whole = np.concatenate([whole, vectors_of(4, n)])
        assert len(segments(index)) <= 3
    index.close()
    with Index.open(str(index.folder)) as reader, reader.snapshot() as snapshot:
        assert ids(snapshot) == [f"id {n}" for n in range(53)]
        assert np.array_equal(snapshot.vectors, whole)
        assert all(not part.on_host for part in snapshot.parts.parts)
        reader.verify()


def test_a_segment_is_rewritten_when_a_third_is_dead(index: Index) -> None:
    (before,) = segments(index)
    index.delete(["id 0"])
    index.writer.upkeep()
    assert segments(index) == [before]
    index.delete(["id 3"])
    index.writer.upkeep()
    assert segments(index) != [before]
    assert len(segments(index)) == 1
    with index.snapshot() as snapshot:
        assert [len(part.sequence) for part in snapshot.parts.parts] == [3]
    index.delete(["id 1", "id 2", "id 4"])
    index.writer.upkeep()
    assert (segments(index), len(index), list(index)) == ([], 0, [])
    assert index.search(np.ones(DIMENSIONS, np.float32), 3).hits == ()
    index.upsert(entries_of(1), vectors_of(1))
    assert [hit.id for hit in index.search(0, 3)] == ["id 0"]


@pytest.mark.parametrize("task", ["seal", "merge"])
def test_what_is_deleted_while_a_segment_is_written_stays_dead(
    index: Index, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    index.upsert(entries_of(4, 5), vectors_of(4, 1))
    if task == "merge":
        index.writer.seal()
    written = writer.write

    def meanwhile(*arguments: Any) -> str:
        digest = written(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(writer, "write", written)
            thread = threading.Thread(target=lambda: index.delete(["id 6", "id 1"]))
            thread.start()
            thread.join(30)
        return digest

    monkeypatch.setattr(writer, "write", meanwhile)
    index.writer.seal() if task == "seal" else index.compact()
    assert ids(index) == [f"id {n}" for n in (0, 2, 3, 4, 5, 7, 8)]
    monkeypatch.undo()
    index.verify()
    index.compact()
    assert len(segments(index)) == 1
    assert ids(index) == [f"id {n}" for n in (0, 2, 3, 4, 5, 7, 8)]


def test_files_that_no_list_names_are_removed_by_the_next_writer(index: Index) -> None:
    there = segments(index)
    folder = index.folder / "segments"
    index.close()
    for name in (".0123.partial", f"{'0' * 64}.segment"):
        (folder / name).write_bytes(b"x")
    (folder / "note.txt").write_bytes(b"mine")
    Index.open(str(index.folder)).close()
    assert len(segments(index)) == 4
    Index.open(str(index.folder), "w").close()
    assert segments(index) == sorted([*there, "note.txt"])


def test_a_missing_segment_is_named(index: Index) -> None:
    (name,) = segments(index)
    index.close()
    (index.folder / "segments" / name).unlink()
    with pytest.raises(DamagedDataError, match=rf"{name} is missing; `ninefold doctor {index.folder}` says"):
        Index.open(str(index.folder))


def test_the_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_MAP_BYTES", 1 << 17)
    made(tmp_path / "index", vectors_of(5)).close()
    reader = Index.open(str(tmp_path / "index"))
    with Index.open(str(tmp_path / "index"), "w") as index:
        for n in range(6):
            index.upsert([Entry(f"long {n} {m}", "", "text " * 400) for m in range(20)], vectors_of(20, n))
        assert (len(index), len(reader)) == (125, 125)
        monkeypatch.setattr(environment, "_GROW_S", 0.05)
        many = [Entry(f"more {m}", "", "text " * 400) for m in range(900)]
        with reader.snapshot(), pytest.raises(InputError, match="waits for 1 open snapshots of this process; close"):
            index.upsert(many, vectors_of(900))
        assert len(index) == 125
        index.verify()


def test_an_environment_is_opened_once_in_a_process(index: Index) -> None:
    with Index.open(str(index.folder)) as other:
        assert other._content.environment is index._content.environment  # type: ignore[union-attr]
        with pytest.raises(lmdb.Error, match="already open in this process"):
            lmdb.open(str(index.folder))


def test_an_index_of_texts_embeds_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = made(tmp_path / "index", vectors_of(5), model="a model")
    index.close()
    monkeypatch.setattr(
        "ninefold.host.index.index.embed_entries",
        lambda entries, model, _: vectors_of(len(entries), len(model)).astype(np.float32),
    )
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.upsert(entries_of(2, 5))
        assert np.array_equal(index.vectors[5:], vectors_of(2, len("a model")))


def test_without_vectors_nits_are_those_of_the_given_numbers(tmp_path: Path) -> None:
    made(tmp_path / "index", vectors_of(5), keep=False).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.upsert(entries_of(2, 5), vectors_of(2, 1) * np.float32(1.0001))
        before = index.search(np.ones(DIMENSIONS, np.float32), 7)
        index.compact()
        after = index.search(np.ones(DIMENSIONS, np.float32), 7)
        assert [(hit.id, hit.score) for hit in before] == [(hit.id, hit.score) for hit in after]
        assert list(index.database.arrays) == ["nits"]


def test_replacing_keeps_the_folder_and_its_readers(index: Index, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", vectors_of(30, 3))
    inode = index.folder.stat().st_ino
    index.close()
    with Index.open(str(index.folder)) as reader:
        with reader.snapshot() as before:
            build(str(tmp_path / "rows.npy"), str(index.folder), force=True)
            assert (len(before), len(reader)) == (5, 30)
        assert index.folder.stat().st_ino == inode
        assert reader.get("29") == Entry("29", "row 29", "")
        assert (reader.get("id 1"), reader.generation.number) == (None, 2)


def test_a_scheduler_keeps_only_what_the_last_version_consists_of(index: Index) -> None:
    with Scheduler(costs=None) as scheduler:
        for n in range(4):
            index.upsert(entries_of(1, 5 + n), vectors_of(1, n))
            index.search(0, 3, device="cpu", scheduler=scheduler)
        index.compact()
        index.search(0, 3, device="cpu", scheduler=scheduler)
        index.search(0, 3, device="cpu", scheduler=scheduler)
        (cpu,) = (device for device in scheduler.devices() if device.device == "cpu")
        with index.snapshot() as snapshot:
            assert cpu.residents is not None
            assert list(cpu.residents) == [part.database.digest for part in snapshot.parts.parts]


def test_the_lock_names_who_holds_it(index: Index) -> None:
    index.delete(["id 0"])
    holder = json.loads((index.folder / "writer.lock").read_text())
    assert (holder["pid"], set(holder)) == (os.getpid(), {"pid", "command", "since"})
