"""Use of an iCEBreaker, simulated: the whole board, its UART included, on a pseudo-terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def compiled(shared_cache: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the board that other tests compiled."""
    monkeypatch.setenv("NINEFOLD_CACHE", shared_cache)
    return folders


def test_selftest_of_a_board_on_a_pseudo_terminal(ninefold: Run, compiled: Path) -> None:
    code = "from ninefold.host.cli import main; main()"
    command = [sys.executable, "-c", code, "board", "serve", "icebreaker/small", "--pty"]
    with subprocess.Popen(command, cwd=compiled, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("serial:///dev/")
            done = ninefold("board", "selftest", url)
            assert done.stdout.startswith(f"{url} (icebreaker/small, simulated): the known-answer test passes; ")
            assert done.stdout.endswith(" 0 damaged replies\n")
            shown = ninefold("board", "info", url).stdout
            for name, value in (
                ("bitstream", "icebreaker/small, simulated"),
                ("dimensions", "384"),
                ("clock_hz", "24000000"),
                ("crc_errors", "0"),
            ):
                assert f"{name:20} {value}" in shown.splitlines()
        finally:
            process.kill()
