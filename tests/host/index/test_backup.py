"""Backups: complete, incremental, for their owner alone, checked before they are used, and whole or not there."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host.cli import cli
from ninefold.host.index import Index, place
from ninefold.host.index import backup as module
from ninefold.host.index.backup import Backup, backup, backups, numbers, restore
from ninefold.host.index.manifest import checksum
from ninefold.host.index.segments import Segment
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError
from tests.host.index.made import entries_of, made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Return an index of 20 entries: a segment with two dead rows, and a tail of five rows."""
    made(tmp_path / "index", vectors_of(17)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.delete(["id 3", "id 4"])
        index.upsert(entries_of(5, 17), vectors_of(5, 1))
        yield index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def same(first: Index, second: Index) -> bool:
    return list(first) == list(second) and np.array_equal(first.vectors, second.vectors)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_index_is_restored_from_a_backup(index: Index, folder: Path, tmp_path: Path) -> None:
    taken = backup(str(index.folder), folder)
    assert (taken.number, taken.rows, len(taken.questions.answers)) == (1, 20, 20)
    assert taken.bytes == taken.new_bytes
    found = restore(str(tmp_path / "again"), folder)
    assert (found.number, found.rows) == (1, 20)
    with Index.open(str(tmp_path / "again"), "w") as again:
        assert same(again, index)
        assert again.generation == index.generation
        # It can be continued.
        again.upsert([Entry("id 3", "", "back")], vectors_of(1, 3))
        again.compact()
        again.verify()
        assert len(again) == 21
        assert len(list((again.folder / "segments").iterdir())) == 1
    assert len(index) == 20


def test_only_the_owner_reads_a_backup(index: Index, folder: Path) -> None:
    before = os.umask(0)
    try:
        backup(str(index.folder), folder)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    segment = next((folder / "segments").iterdir()).name
    assert {name for name, mode in modes.items() if mode == 0o700} == {"backups", "1", "segments"}
    private = {"data.mdb", "manifest.json", "backup.json", "writer.lock", segment}
    assert {name for name, mode in modes.items() if mode == 0o600} == private
    assert len(modes) == 8


def test_segments_are_copied_once(index: Index, folder: Path) -> None:
    first = backup(str(index.folder), folder)
    (segment,) = (folder / "segments").iterdir()
    before = segment.stat()
    index.upsert(entries_of(1, 50), vectors_of(1, 5))
    second = backup(str(index.folder), folder)
    assert (second.number, second.rows) == (2, 21)
    assert second.new_bytes == second.bytes - sum(second.segments.values()) < first.new_bytes
    assert segment.stat().st_mtime_ns == before.st_mtime_ns
    index.compact()
    third = backup(str(index.folder), folder)
    assert third.segments.keys().isdisjoint(second.segments)
    assert {number: type(one) for number, one in backups(folder).items()} == dict.fromkeys([1, 2, 3], Backup)
    # Without the first two, no one needs their segment.
    backup(str(index.folder), folder, keep=2)
    assert numbers(folder) == [3, 4]
    assert [path.stem for path in (folder / "segments").iterdir()] == list(third.segments)
    with pytest.raises(InputError, match=r"^the number of backups to keep must be at least 1, not 0$"):
        backup(str(index.folder), folder, keep=0)


def test_a_backup_is_of_one_commit_while_others_follow(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = module._copy

    def slow(*arguments: Any) -> None:
        # What is backed up is replaced and removed before its files are copied.
        monkeypatch.setattr(module, "_copy", copy)
        index.upsert([Entry("id 1", "", "new")], vectors_of(1, 9))
        index.delete(["id 2"])
        index.compact()
        copy(*arguments)

    before = list(index)
    monkeypatch.setattr(module, "_copy", slow)
    backup(str(index.folder), folder)
    restore(str(tmp_path / "again"), folder)
    with Index.open(str(tmp_path / "again")) as again:
        assert list(again) == before
    assert len(index) == 19


def test_backups_while_a_writer_writes(index: Index, folder: Path, tmp_path: Path) -> None:
    stop, failed = threading.Event(), []

    def write() -> None:
        try:
            number = 0
            while not stop.is_set():
                index.upsert([Entry(f"new {n}", "", str(number)) for n in range(3)], vectors_of(3, number))
                number += 1
                if number % 5 == 0:
                    index.compact()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(4):
            backup(str(index.folder), folder)
    finally:
        stop.set()
        thread.join()
    assert failed == []
    for number in numbers(folder):
        name = str(tmp_path / f"again {number}")
        restore(name, folder, number=number)
        with Index.open(name) as again:
            # All three entries of a commit, or none.
            texts = [entry.text for entry in again if entry.id.startswith("new")]
            assert len(texts) in (0, 3)
            assert len(set(texts)) <= 1


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["2/data.mdb", "2/manifest.json", "2/backup.json"])
@pytest.mark.parametrize("how", [damage, Path.unlink])
def test_a_damaged_backup_is_refused_and_the_one_before_it_offered(
    index: Index, folder: Path, tmp_path: Path, name: str, how: Callable[[Path], None]
) -> None:
    backup(str(index.folder), folder)
    before = list(index)
    index.delete(["id 0"])
    backup(str(index.folder), folder)
    how(folder / name)
    again = tmp_path / "again"
    offer = rf"backup 1, of \d.*, is undamaged: `ninefold index restore {again} {folder} --backup 1` restores it$"
    what = "is missing" if how is Path.unlink else "is damaged: .*"
    with pytest.raises(DamagedDataError, match=rf"^backup 2 is refused: {folder / name} {what}; {offer}"):
        restore(str(again), folder)
    assert not again.exists()
    restore(str(again), folder, number=1)
    with Index.open(str(again)) as opened:
        assert list(opened) == before


def test_a_damaged_segment_is_refused_and_the_next_backup_repairs_it(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    backup(str(index.folder), folder)
    (segment,) = (folder / "segments").iterdir()
    damage(segment)
    said = rf"^backup 1 is refused: {segment} is damaged: .*; there is no earlier backup$"
    with pytest.raises(DamagedDataError, match=said):
        restore(str(tmp_path / "again"), folder)
    index.delete(["id 0"])
    # Both backups need it.
    segment.chmod(0o600)
    before = segment.read_bytes()
    second = backup(str(index.folder), folder)
    assert second.new_bytes == second.bytes
    damage(segment)
    assert segment.read_bytes() == before
    with pytest.raises(DamagedDataError, match=r"; no earlier backup is undamaged$"):
        restore(str(tmp_path / "again"), folder)
    backup(str(index.folder), folder)
    for number in (1, 2, 3):
        restore(str(tmp_path / str(number)), folder, number=number)


def test_other_answers_are_refused(index: Index, folder: Path, tmp_path: Path) -> None:
    backup(str(index.folder), folder)
    path = folder / "1" / "backup.json"
    record = json.loads(path.read_text())
    del record["checksum"]
    record["questions"]["answers"][4][0][1] -= 1
    path.write_text(json.dumps({**record, "checksum": checksum(record)}))
    said = r"^backup 1 is refused: question 5 of 20 finds 'id \d+' with a score of \d+, and found 'id \d+' with a sco"
    with pytest.raises(DamagedDataError, match=said):
        restore(str(tmp_path / "again"), folder)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["backups", "index"]


def test_a_damaged_index_is_not_backed_up(index: Index, folder: Path) -> None:
    (segment,) = (index.folder / "segments").iterdir()
    damage(segment)
    with pytest.raises(DamagedDataError, match=rf"^{segment} is damaged: the SHA-256 of its "):
        backup(str(index.folder), folder)
    assert files(folder) == ["writer.lock"]


def test_an_error_leaves_no_segments(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_check_tables", full)
    with pytest.raises(OSError, match="No space left"):
        backup(str(index.folder), folder)
    assert files(folder) == ["writer.lock"]


def test_an_error_of_the_clean_up_is_no_error_of_the_backup(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(str(index.folder), folder)

    def busy(path: Path, **_: object) -> None:
        next(path.glob("backup.json")).unlink()
        raise OSError(16, "Device or resource busy", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", busy)
        assert backup(str(index.folder), folder, keep=1).number == 2
    # What was killed or failed while it was removed is no backup without a record.
    assert list(backups(folder)) == [2]
    assert len(list(folder.glob(".*.partial"))) == 1
    index.compact()
    backup(str(index.folder), folder, keep=1)
    assert not list(folder.glob(".*.partial"))
    assert len(list((folder / "segments").iterdir())) == 1


def test_backups_may_be_on_a_network_file_system(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:26 / {folder} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    backup(str(index.folder), folder)
    assert place.file_system(folder) == "nfs4"
    restore(str(tmp_path / "again"), folder)


class Stopped(BaseException):
    """Interrupt of a backup."""


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_an_unfinished_backup_leaves_nothing(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    name = str(index.folder)
    backup(name, folder)
    index.upsert(entries_of(1, 50), vectors_of(1, 5))
    index.compact()
    index.close()
    content = list(Index.open(name))
    points = [(os, "fsync"), (Path, "rename"), (Path, "mkdir"), (os, "write"), (Segment, "verify")]
    reached = 0
    for home, function in points:
        real = getattr(home, function)
        for occurrence in range(1, 30):
            left = occurrence

            def stopping(*arguments: Any, real: Any = real, **keywords: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    if how == "killed":
                        os.kill(os.getpid(), signal.SIGKILL)
                    raise Stopped
                return real(*arguments, **keywords)

            with monkeypatch.context() as patch:
                patch.setattr(home, function, stopping)
                stopped = killed(lambda: backup(name, folder)) if how == "killed" else raised(name, folder)
            if not stopped:
                break
            reached += 1
            found = numbers(folder)
            # All of it is there only if nothing but the name of its folder was missing.
            assert found in ([1], [1, 2])
            if how == "interrupted":
                assert not [path for path in folder.iterdir() if path.suffix == ".partial"]
            if found == [1, 2]:
                Backup.read(folder, 2).check(folder)
                for path in sorted((folder / "2").iterdir()):
                    path.unlink()
                (folder / "2").rmdir()
    assert reached > 10
    backup(name, folder)
    assert not [path for path in folder.iterdir() if path.suffix == ".partial"]
    restore(str(tmp_path / "again"), folder)
    with Index.open(str(tmp_path / "again")) as again:
        assert list(again) == content


def raised(name: str, folder: Path) -> bool:
    try:
        backup(name, folder)
    except Stopped:
        return True
    return False


def killed(run: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_an_index_is_replaced_only_by_force(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(index.folder)
    backup(name, folder)
    before = list(index)
    index.delete(["id 0", "id 1"])
    reader = Index.open(name)
    with pytest.raises(InputError, match=r"^there is an index .*; --force replaces it$"):
        restore(name, folder)
    with index.writer._holding(), monkeypatch.context() as patch:
        patch.setattr("ninefold.host.index.locks.WriterLock.__init__.__defaults__", (0.05,))
        with pytest.raises(InputError, match=r"is being written by process .*; one writer at a time$"):
            restore(name, folder, force=True)
    index.close()
    restore(name, folder, force=True)
    # A reader that was open sees the restored index.
    assert list(reader) == before
    reader.close()


def test_a_writer_of_a_replaced_index_writes_nothing(index: Index, folder: Path) -> None:
    name = str(index.folder)
    backup(name, folder)
    before = list(index)
    index.delete(["id 0"])
    index.writer._lock.release()  # as after a second without a write
    restore(name, folder, force=True)
    for write in (index.compact, lambda: index.delete(["id 1"])):
        with pytest.raises(InputError, match=r"was replaced, .*while it was open for writing; open it again$"):
            write()
    index.close()
    with Index.open(name, "w") as again:
        assert list(again) == before
        again.delete(["id 1"])
        again.compact()
        again.verify()


def test_indexes_without_vectors_or_entries(tmp_path: Path, folder: Path) -> None:
    made(tmp_path / "nits", vectors_of(100), keep=False).close()
    assert len(backup(str(tmp_path / "nits"), folder).questions.answers) == 64
    restore(str(tmp_path / "nits again"), folder)
    made(tmp_path / "empty", vectors_of(2)).close()
    with Index.open(str(tmp_path / "empty"), "w") as empty:
        empty.delete(["id 0", "id 1"])
        empty.compact()
    taken = backup(str(tmp_path / "empty"), tmp_path / "other")
    assert (taken.rows, taken.segments, taken.questions.answers) == (0, {}, ())
    restore(str(tmp_path / "empty again"), tmp_path / "other")
    with Index.open(str(tmp_path / "empty again")) as again:
        assert len(again) == 0


def test_refused_folders(index: Index, folder: Path, tmp_path: Path) -> None:
    name = str(index.folder)
    with pytest.raises(InputError, match=rf"^{name}/backups must not be in the folder of the index, {name}$"):
        backup(name, index.folder / "backups")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=rf"^backups are kept in a folder, and {tmp_path}/file is a file$"):
        backup(name, tmp_path / "file")
    (tmp_path / "cache").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=rf"^{tmp_path} holds cache, which is not part of a backup; give another fol"):
        backup(name, tmp_path)
    backup(name, folder)
    made(tmp_path / "other", vectors_of(3)).close()
    with pytest.raises(InputError, match=rf"^{folder} holds backups of {name}; give {tmp_path}/other a folder of its"):
        backup(str(tmp_path / "other"), folder)
    again = str(tmp_path / "again")
    with pytest.raises(InputError, match=r"^the backup must be one of 1, not 2$"):
        restore(again, folder, number=2)
    with pytest.raises(
        InputError, match=rf"^there is no folder {tmp_path}/none; `ninefold index backup NAME {tmp_path}"
    ):
        restore(again, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=rf"^{tmp_path}/empty holds no backup$"):
        restore(again, tmp_path / "empty")


def test_one_backup_at_a_time(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(str(index.folder), folder)
    real = module._made

    def inner(*arguments: Any) -> Any:
        with pytest.raises(InputError, match=rf"^{folder} is being written by process {os.getpid()} "):
            backup(str(index.folder), folder)
        return real(*arguments)

    monkeypatch.setattr(module, "_made", inner)
    monkeypatch.setattr("ninefold.host.index.locks.WriterLock.__init__.__defaults__", (0.05,))
    backup(str(index.folder), folder)
    assert numbers(folder) == [1, 2]


def test_an_lmdb_that_cannot_copy_a_transaction(index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pure:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def copyfd(self, *_: Any, **__: Any) -> None:
            raise TypeError("Non-patched LMDB doesn't support transaction with env.copy")

    environment: Any = index._content.environment  # type: ignore[union-attr]
    real: lmdb.Environment = environment._env
    monkeypatch.setattr(environment, "_env", Pure())
    with pytest.raises(UnavailableError, match=r"; pip install --force-reinstall lmdb$"):
        backup(str(index.folder), folder)
    assert numbers(folder) == []


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*words], prog_name="ninefold")
    return result.exit_code, result.output


def test_commands(index: Index, folder: Path, tmp_path: Path) -> None:
    name, again = str(index.folder), str(tmp_path / "again")
    code, said = run("index", "backup", name, str(folder))
    assert code == 0
    assert re.fullmatch(rf"{folder}: backup 1, 20 entries, \d\.\d MB, \d\.\d MB of them new, after .*\n", said)
    assert run("index", "backup", name, str(folder), "--keep", "2")[0] == 0
    code, said = run("index", "backups", str(folder))
    assert [line.split()[0] for line in said.splitlines()] == ["backup", "1", "2"]
    damage(folder / "2" / "backup.json")
    records = json.loads(run("index", "backups", str(folder), "--json")[1])
    assert [(one["number"], one.get("rows")) for one in records] == [(1, 20), (2, None)]
    assert "backup.json is damaged" in records[1]["error"]
    code, said = run("index", "restore", again, str(folder))
    assert code == 2
    assert f"`ninefold index restore {again} {folder} --backup 1` restores it" in said
    code, said = run("index", "restore", again, str(folder), "--backup", "1")
    assert code == 0
    assert re.fullmatch(
        rf"{again}: 20 entries of backup 1 \(.*\); 20 recorded searches give the same answers; .*\n", said
    )
