"""Programs of others: which one is found, and how each way to end is told."""

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ninefold.spec import programs
from ninefold.spec.errors import InterruptError, ToolError, UnavailableError
from ninefold.spec.programs import execute, find, run, together


def program(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_beside_python_then_on_path_by_the_first_name_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(UnavailableError) as missing:
        find(("tool", "tool-cli"), "get it")
    assert str(missing.value) == "tool is neither beside python nor on PATH; get it"
    other = program(tmp_path / "path" / "tool-cli")
    assert find(("tool", "tool-cli"), "get it") == other
    on_path = program(tmp_path / "path" / "tool")
    assert find("tool", "get it") == find(("tool", "tool-cli"), "get it") == on_path
    beside = program(tmp_path / "beside" / "tool")
    assert find("tool", "get it") == beside
    beside.chmod(0o644)  # nothing to run
    assert find("tool", "get it") == on_path


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.mark.parametrize("script", ["kill -INT $$", "exit 130"])
@pytest.mark.parametrize("start", [execute, run])
def test_a_program_that_an_interrupt_ended_is_no_failure(start: Callable[..., object], script: str) -> None:
    with pytest.raises(InterruptError, match=r"^sh was interrupted$"):
        start(shell(script))
    assert issubclass(InterruptError, KeyboardInterrupt)


def test_an_interrupt_reaches_who_waits_for_several() -> None:
    begun = time.monotonic()
    with pytest.raises(InterruptError):
        together(lambda script: run(shell(script)), ["exec sleep 60", "kill -INT $$"], 2)
    assert time.monotonic() - begun < 30


def test_a_program_that_starts_after_the_interrupt_is_ended_too() -> None:
    interrupted = threading.Event()

    def job(script: str) -> None:
        try:
            if script.startswith("exec"):
                interrupted.wait()
                time.sleep(0.2)  # until the other job has failed
            run(shell(script))
        finally:
            interrupted.set()

    begun = time.monotonic()
    with pytest.raises(InterruptError):
        together(job, ["exec sleep 60", "kill -INT $$"], 2)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo why >&2; exit 7", "`sh -c 'echo why >&2; exit 7'` failed with exit code 7:\nwhy"),
        ("kill -KILL $$", "`sh -c 'kill -KILL $$'` was ended by SIGKILL, perhaps because the memory was full"),
        ("kill -TERM $$", "`sh -c 'kill -TERM $$'` was ended by SIGTERM"),
    ],
)
def test_a_program_that_fails(script: str, said: str) -> None:
    with pytest.raises(ToolError) as failed:
        run(shell(script))
    assert str(failed.value) == said


def test_a_program_that_takes_too_long() -> None:
    with pytest.raises(ToolError, match=r"^/bin/sh was killed after its time limit of 0\.05 s$"):
        execute(shell("exec sleep 60"), limit_s=0.05)
    assert execute(shell("exit 3"), limit_s=60).code == 3


def test_a_program_is_killed_by_who_watches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_WATCH_S", 0.01)
    calls = 0

    def watch() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise LookupError("seen enough")

    with pytest.raises(LookupError, match="seen enough"):
        execute(shell("exec sleep 60"), watch=watch)
    assert not programs._running
    assert execute(shell("exit 3"), watch=lambda: None).code == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
            "Resource temporarily unavailable): raise the",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "(Cannot allocate memory): raise the limit of processes or"),
        (MemoryError(), "(MemoryError): raise the limit"),
        (PermissionError(errno.EACCES, "Permission denied"), "tool cannot be started (Permission denied)"),
    ],
)
def test_a_program_that_cannot_be_started(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(ToolError) as failed:
        execute(["/tool"])
    assert said in str(failed.value)
    assert failed.value.exit_code == 3
