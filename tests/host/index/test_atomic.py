"""Replacement of a folder: after a kill at any system call, its name leads to the complete old or new index."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.index import Index
from ninefold.host.index import atomic as module
from ninefold.host.index.atomic import new_folder, recover
from ninefold.host.index.manifest import MANIFEST, checksum
from ninefold.spec.errors import InputError

#: Indexes of version 1.
VERSION1 = Path(__file__).parents[2] / "fixtures" / "index1"
#: System calls that change names or order writes.
CALLS = ("fsync", "rename", "mkdir", "chmod", "unlink", "rmdir")
WAYS = ("exchange", "renames")
#: Exit code of a child that a trial killed.
KILLED = 9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a folder with two indexes of version 1, `old` in mode tanh and `new` in mode linear."""
    base = tmp_path_factory.mktemp("made")
    shutil.copytree(VERSION1 / "vectors", base / "new")
    shutil.copytree(VERSION1 / "vectors", base / "old")
    path = base / "old" / MANIFEST
    content = {**json.loads(path.read_bytes()), "mode": "tanh"}
    del content["sha256"]
    path.write_text(json.dumps({**content, "sha256": checksum(content)}))
    return base


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replace with the system call that exchanges names, or as on a file system without it."""
    if request.param == "renames":
        monkeypatch.setattr(module, "_renameat2", lambda: without_exchange)
    return str(request.param)


def without_exchange(*_: Any) -> int:
    ctypes.set_errno(errno.EINVAL)
    return -1


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace(target: Path, source: Path) -> None:
    with new_folder(target) as folder:
        for path in source.iterdir():
            shutil.copyfile(path, folder / path.name)


def counted(limit: int) -> Callable[[], int]:
    """End the process before call number `limit` that changes names; return a function that counts such calls."""
    calls = 0

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > limit:
                os._exit(KILLED)
            return function(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))
    fcntl.flock = wrapped(fcntl.flock)
    module._exchange = wrapped(module._exchange)
    return lambda: calls


def killed_after(limit: int, target: Path, source: Path) -> bool:
    """Replace `target` in a process that is killed after `limit` calls; return True if it was killed."""
    child = os.fork()
    if child == 0:
        try:
            counted(limit)
            replace(target, source)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, KILLED}
    return code == KILLED


@pytest.mark.parametrize("there", [True, False])
def test_killed_at_any_call_the_name_leads_to_a_whole_index(tmp_path: Path, made: Path, way: str, there: bool) -> None:
    unnamed, seen = 0, set()
    for limit in range(200):
        target = tmp_path / str(limit) / "a"
        target.parent.mkdir()
        if there:
            shutil.copytree(made / "old", target)
        killed = killed_after(limit, target, made / "new")
        gap = there and not target.exists()
        unnamed += gap
        try:
            found = Index.open(str(target)).generation.mode
        except InputError:
            found = ""
        assert found in {"linear", "tanh" if there else ""}, limit
        assert found == "linear" or (killed and not gap)
        seen.add(found)
        replace(target, made / "new")
        assert Index.open(str(target)).generation.mode == "linear"
        assert names(target.parent) == ["a"], limit
        if not killed:
            break
    assert limit > 5
    assert seen == {"linear", "tanh" if there else ""}
    # Two renames leave a moment without the name; an exchange does not.
    assert unnamed == (1 if there and way == "renames" else 0)


def test_everything_is_on_the_disk_before_it_has_the_name(
    tmp_path: Path, made: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a" / "b" / "c"
    log: list[str] = []
    fsync, rename, exchange = os.fsync, os.rename, module._exchange
    monkeypatch.setattr(os, "fsync", lambda f: (log.append(str(Path(f"/proc/self/fd/{f}").readlink())), fsync(f)))
    monkeypatch.setattr(os, "rename", lambda a, b: (log.append("rename"), rename(a, b)))
    monkeypatch.setattr(module, "_exchange", lambda a, b: (log.append("rename"), exchange(a, b))[1])
    for source in ("old", "new"):
        log.clear()
        replace(target, made / source)
        first = log.index("rename")
        before = {Path(path) for path in log[:first]}
        files = {path.name for path in before if path.parent.suffix == ".partial"}
        assert files == {path.name for path in (made / source).iterdir()}
        assert [path for path in before if path.suffix == ".partial"]
        assert log[-1] == str(target.parent)
        if source == "old":
            assert {tmp_path, tmp_path / "a"} <= before  # the folders that it had to create


def test_what_a_kernel_refuses_that_has_no_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> Callable[..., int]:
        def call(*_: Any) -> int:
            ctypes.set_errno(code)
            return -1

        return call

    for code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        monkeypatch.setattr(module, "_renameat2", lambda code=code: refuse(code))
        assert not module._exchange(tmp_path, tmp_path)
    monkeypatch.setattr(module, "_renameat2", lambda: refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        module._exchange(tmp_path, tmp_path)
    monkeypatch.setattr(module, "_renameat2", lambda: None)
    assert not module._exchange(tmp_path, tmp_path)


def test_the_exchange_is_used_here(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert module._exchange(tmp_path / "a", tmp_path / "b")
    assert (names(tmp_path / "a"), names(tmp_path / "b")) == (["b"], ["a"])


@pytest.mark.parametrize("failing", ["exchange", "second rename"])
def test_after_a_failed_replacement_the_old_folder_has_its_name(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    target = tmp_path / "x" / "a"
    replace(target, made / "old")
    rename = Path.rename

    def fail(*_: Any) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    def second(self: Path, to: Path) -> Path:
        return rename(self, to) if self.suffix != ".partial" else fail()  # type: ignore[return-value]

    if failing == "exchange":
        monkeypatch.setattr(module, "_exchange", fail)
    else:
        monkeypatch.setattr(module, "_exchange", lambda *_: False)
        monkeypatch.setattr(Path, "rename", second)
    with pytest.raises(OSError, match=r"Input/output error: '.*/x/a'"):
        replace(target, made / "new")
    assert Index.open(str(target)).generation.mode == "tanh"
    assert names(target.parent) == ["a"]


def test_where_the_old_folder_cannot_have_its_name_back_the_new_one_gets_it(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = tmp_path / "a", Path.rename
    replace(target, made / "old")

    def fail(self: Path, to: Path) -> Path:
        if to == target:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_exchange", lambda *_: False)
        patch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="Input/output error"):
            replace(target, made / "new")
    assert Index.open(str(target)).generation.mode == "linear"
    replace(target, made / "new")
    assert names(tmp_path) == ["a"]


def test_the_check_is_made_when_nobody_else_can_replace(tmp_path: Path, made: Path) -> None:
    target = tmp_path / "a"

    def check() -> None:
        with pytest.raises(BlockingIOError):
            module._locked_folder(tmp_path, fcntl.LOCK_NB)
        raise InputError("taken")

    with pytest.raises(InputError, match="taken"), new_folder(target, check):
        os.close(module._locked_folder(tmp_path, fcntl.LOCK_NB))
    assert names(tmp_path) == []


def test_a_link_stays_and_its_folder_is_replaced(tmp_path: Path, made: Path, way: str) -> None:
    replace(tmp_path / "far" / "real", made / "old")
    (tmp_path / "link").symlink_to("far/real")
    replace(tmp_path / "link", made / "new")
    assert (tmp_path / "link").is_symlink()
    assert Index.open(str(tmp_path / "far" / "real")).generation.mode == "linear"
    assert (names(tmp_path / "far"), names(tmp_path)) == (["real"], ["far", "link"])


def test_hidden_folders_of_another_name_are_left_alone(tmp_path: Path, made: Path) -> None:
    # After a kill between two renames, these are the only copies of the index a.b.
    shutil.copytree(made / "new", tmp_path / ".a.b.12345678.partial")
    shutil.copytree(made / "old", tmp_path / ".a.b.12345678.replaced")
    (tmp_path / ".a.87654321.partial").mkdir()
    replace(tmp_path / "a", made / "old")
    recover(tmp_path / "a")
    assert names(tmp_path) == [".a.b.12345678.partial", ".a.b.12345678.replaced", "a"]
    assert Index.open(str(tmp_path / "a.b")).generation.mode == "linear"


def test_an_old_folder_is_not_removed_while_nothing_has_its_name(tmp_path: Path, made: Path) -> None:
    left = tmp_path / ".a.12345678.replaced"
    shutil.copytree(made / "old", left)
    with pytest.raises(InputError, match="there is no index"):
        Index.open(str(tmp_path / "a"))
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a"):
        raise ZeroDivisionError
    assert left.exists()
    for _ in range(2):
        replace(tmp_path / "a", made / "new")
    assert names(tmp_path) == ["a"]


def test_two_processes_at_once_and_a_reader(tmp_path: Path, made: Path, way: str) -> None:
    target = tmp_path / "a"
    replace(target, made / "old")
    running = {child_replacing(target, made / source) for source in ("old", "new")}
    seen, codes = set(), []
    while running:
        index = Index.open(str(target))
        seen.add(index.generation.mode)
        for child in tuple(running):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                running.remove(child)
                codes.append(os.waitstatus_to_exitcode(status))
    assert codes == [0, 0]
    assert seen == {"tanh", "linear"}
    assert names(tmp_path) == ["a"]


def child_replacing(target: Path, source: Path) -> int:
    """Start a process that replaces `target` repeatedly; return its process number."""
    child = os.fork()
    if child == 0:
        try:
            for _ in range(40):
                replace(target, source)
            os._exit(0)
        finally:
            os._exit(1)
    return child
