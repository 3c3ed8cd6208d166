"""Progress of commands: on standard error only, and none with --quiet."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ninefold.host.index import Index, write
from ninefold.host.status_line import StatusLine
from ninefold.spec import progress
from ninefold.spec.progress import listening, look, step
from tests.cli.conftest import Run


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every step as slow, and call the listener while the scale is chosen and while an index is opened."""
    monkeypatch.delenv("NINEFOLD_QUIET")
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    chosen, opened = write.calibrated_scale, Index.open

    def choose(*arguments: Any) -> float:
        look()
        return chosen(*arguments)

    def open_index(name: str) -> Index:
        look()
        return opened(name)

    monkeypatch.setattr(write, "calibrated_scale", choose)
    monkeypatch.setattr(Index, "open", open_index)


@pytest.mark.usefixtures("slow")
def test_progress_is_written_to_standard_error(ninefold: Run, vectors: Path) -> None:
    result = ninefold("index", vectors, "-o", "v")
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert any(re.match(f"indexing {vectors}(: \\d+ s)?, now choosing the scale", line) for line in lines)
    assert lines[-1].startswith(f"indexing {vectors}: done in ")
    assert "indexing" not in result.stdout


@pytest.mark.usefixtures("slow")
def test_json_stays_json(ninefold: Run, indexed: Path) -> None:
    result = ninefold("search", "v", "3", "--device", "cpu", "--json")
    assert json.loads(result.stdout)["hits"][0]["row"] == 3
    assert result.stderr.endswith("\n")
    assert all(line.startswith("searching v") for line in result.stderr.splitlines())


@pytest.mark.usefixtures("slow")
def test_quiet(ninefold: Run, vectors: Path) -> None:
    result = ninefold("--quiet", "index", vectors, "-o", "v")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_terminal_shows_one_line_that_is_removed_at_the_end() -> None:
    terminal = io.StringIO()
    listener = StatusLine(
        Console(file=terminal, force_terminal=True, width=40, color_system=None, legacy_windows=False)
    )
    with listening(listener, every_s=None), step("placing and routing a design of a long name", 2) as placing:
        look()
        placing.advance("seed 1: 50 MHz")
        look()
    written = terminal.getvalue()
    shown, erased, show_cursor = "placing and routing a design of a long …", "\r\x1b[2K", "\x1b[?25h"
    assert len(shown) == 40
    assert f"{shown}{erased}seed 1: 50 MHz\n{shown}" in written
    end = written[written.rindex(shown) :]
    assert show_cursor in end
    assert end.endswith("\x1b[1A\x1b[2K")  # one line up, and erase it
