"""Faults of the disk, permissions, the clock and other processes: what the user is told, and that nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from click.testing import CliRunner

from ninefold.host.cli import cli
from ninefold.host.index import Index
from ninefold.host.index.backup import backup, numbers, restore
from ninefold.host.index.environment import Environment
from ninefold.host.sources import Entry
from ninefold.spec.errors import InputError
from tests.host.index.made import entries_of, made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made(tmp_path / "index", vectors_of(5)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        yield index


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*words], prog_name="ninefold")
    return result.exit_code, result.output


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Refuse writes of this process beyond a size of file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def long_entries(rows: int) -> list[Entry]:
    return [Entry(f"long {n}", "", f"{n} " * 500) for n in range(rows)]


def state(index: Index) -> list[Entry]:
    index.verify()
    return list(index)


def test_the_disk_fills_up_while_entries_are_written(index: Index) -> None:
    before = state(index)
    size = (index.folder / "data.mdb").stat().st_size
    with no_file_above(size), pytest.raises(OSError, match="nothing was changed") as raised:
        index.upsert(long_entries(100), vectors_of(100))
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(index.folder)
    assert raised.value.strerror == "File too large; nothing was changed: raise the limit of file sizes (ulimit -f)"
    assert state(index) == before
    # Other processes see the same, and this one can continue.
    with Index.open(str(index.folder)) as reader:
        assert state(reader) == before
    index.upsert(long_entries(100), vectors_of(100))
    assert len(state(index)) == 105


def test_the_disk_fills_up_while_a_segment_is_written(index: Index) -> None:
    index.upsert(entries_of(300, 5), vectors_of(300, 1))
    before = state(index)
    files = sorted(path.name for path in (index.folder / "segments").iterdir())
    with no_file_above(2000):
        with pytest.raises(OSError, match="File too large") as raised:
            index.compact()
        assert raised.value.filename == str(index.folder)
    assert sorted(path.name for path in (index.folder / "segments").iterdir()) == files
    assert state(index) == before
    index.compact()
    assert state(index) == before


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "free some space on its disk, then repeat"),
        (errno.EDQUOT, "free some space or raise your quota (quota -s), then repeat"),
    ],
)
def test_errors_of_the_disk_say_what_to_do(index: Index, monkeypatch: pytest.MonkeyPatch, code: int, hint: str) -> None:
    def failing(*_: Any) -> None:
        raise lmdb.DiskError(f"mdb_txn_commit: {os.strerror(code)}")

    before = state(index)
    index.close()
    monkeypatch.setattr(Environment, "_committed", failing)
    assert run("index", "remove", str(index.folder), "id 1") == (
        2,
        f"error: {index.folder}: {os.strerror(code)}; nothing was changed: {hint}\n",
    )
    monkeypatch.undo()
    with Index.open(str(index.folder)) as reader:
        assert state(reader) == before


def as_another(run: Callable[[], object]) -> str:
    """Run a function in a child without the rights of root; return the error that it raises, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setegid(65534)
                os.seteuid(65534)
            run()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def public(index: Index) -> Iterator[Path]:
    """Return a copy of the index that any user can reach and only its owner may write."""
    index.close()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Path(folder) / "index"
        shutil.copytree(index.folder, place)
        for path in (*place.rglob("*"), place):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield place
        for path in (place, *place.rglob("*")):
            path.chmod(0o755)


def test_a_folder_that_may_only_be_read(public: Path) -> None:
    def read() -> None:
        with Index.open(str(public)) as index:
            assert len(index.search(1, 3, device="cpu")) == 3

    said = as_another(read)
    assert said == (
        f"PermissionError: [Errno 13] Permission denied; readers of an index register in lock.mdb: let this user write"
        f" that file: '{public}'"
    )
    (public / "lock.mdb").chmod(0o666)
    assert as_another(read) == ""

    def write() -> None:
        with Index.open(str(public), "w") as index:
            index.delete(["id 1"])

    assert as_another(write) == (
        f"PermissionError: [Errno 13] Permission denied; writing an index needs permission to write its folder and"
        f" files: '{public}/writer.lock'"
    )
    with Index.open(str(public)) as index:
        assert len(state(index)) == 5


def test_a_clock_that_is_set_back(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "backups"
    backup(str(index.folder), folder)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e9)
    index.upsert(entries_of(2, 5), vectors_of(2, 1))
    index.compact()
    index.delete(["id 0"])
    found = state(index)
    assert len(found) == 6
    # The newest backup is the last one, whatever the clock said.
    backup(str(index.folder), folder, keep=1)
    assert numbers(folder) == [2]
    restore(str(tmp_path / "again"), folder)
    with Index.open(str(tmp_path / "again")) as again:
        assert state(again) == found


WRITE = """
import sys
import numpy as np
from ninefold.host.index import Index
from ninefold.host.sources import Entry
name, who = sys.argv[1:]
for n in range(6):
    with Index.open(name, "w") as index:
        index.upsert([Entry(f"{who} {n}", "", who)], np.ones((1, 6), np.float16))
"""


def test_two_processes_write_in_turn(index: Index) -> None:
    index.close()
    children = [subprocess.Popen([sys.executable, "-c", WRITE, str(index.folder), who]) for who in ("a", "b")]
    assert [child.wait(60) for child in children] == [0, 0]
    with Index.open(str(index.folder)) as reader:
        found = [entry.id for entry in state(reader)]
    assert sorted(found) == sorted([f"id {n}" for n in range(5)] + [f"{who} {n}" for who in "ab" for n in range(6)])


HOLD = """
import sys, time
from ninefold.host.index import Index
index = Index.open(sys.argv[1], "w")
with index.writer._holding():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_writes(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    monkeypatch.setattr("ninefold.host.index.locks.WriterLock.__init__.__defaults__", (0.05,))
    words = [sys.executable, "-c", HOLD, str(index.folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        code, said = run("index", "remove", str(index.folder), "id 1")
        assert code == 2
        start = f"error: {index.folder} is being written by process {child.pid} (python -c ' import sys, time from"
        assert said.startswith(start)
        assert said.endswith("; one writer at a time\n")
        child.communicate("")
    with Index.open(str(index.folder)) as reader:
        assert len(state(reader)) == 5


def test_an_index_is_dropped_while_it_is_read(index: Index) -> None:
    index.close()
    with Index.open(str(index.folder)) as reader, reader.snapshot() as snapshot:
        found = snapshot.search(1, 3, device="cpu")
        assert run("index", "drop", str(index.folder), "--yes") == (0, f"{index.folder}: removed\n")
        again = snapshot.search(1, 3, device="cpu")
        assert [(hit.id, hit.score) for hit in again] == [(hit.id, hit.score) for hit in found]
        assert [entry.id for entry in snapshot] == [f"id {n}" for n in range(5)]
        with pytest.raises(InputError, match=rf"^there is no index {index.folder}; `ninefold index SOURCE"):
            reader.search(1, 3, device="cpu")
