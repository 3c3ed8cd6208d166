"""``ninefold wave demo``: files, what is printed, progress, and exit codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.spec import progress
from tests.cli.conftest import Run

SMALL = ("--height", 8, "--width", 9, "--frames", 4)


def demo(ninefold: Run, *words: str | Path) -> tuple[int, str, str]:
    """Return exit code, output and errors of a demonstration on a small lattice."""
    result = ninefold("wave", "demo", *map(str, SMALL), *words)
    return result.exit_code, " ".join(result.stdout.split()), result.stderr


def test_two_devices_agree_and_the_files_are_written(ninefold: Run, tmp_path: Path) -> None:
    code, said, errors = demo(ninefold, "--device", "cpu", "--device", "opencl", "-o", tmp_path / "a.html")
    assert code == 0
    assert "cpu and opencl agree: psi and v of every cell in every frame are identical, bit for bit." in said
    assert errors.splitlines()[-2:] == [f"wrote {tmp_path}/a.html", f"wrote {tmp_path}/a.png"]
    assert (tmp_path / "a.html").read_text().endswith("</html>\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_core_in_rtl_and_on_a_virtual_board_agrees_with_the_processor(ninefold: Run, tmp_path: Path) -> None:
    named = ("cpu", "rtl", "board:virtual/wave_lattice")
    words = [word for name in named for word in ("--device", name)]
    code, said, _ = demo(ninefold, *words, "--width", "8", "-o", tmp_path / "a.html")
    assert code == 0, said
    assert "cpu, rtl and board:virtual/wave_lattice agree: psi and v of every cell in every frame are identical" in said
    assert len(re.findall(r"ran in \S+ \S+, [\d,]+ clock cycles", said)) == 2


def test_a_lattice_that_the_core_cannot_have_is_an_outcome(ninefold: Run, tmp_path: Path) -> None:
    code, said, _ = demo(ninefold, "--device", "cpu", "--device", "rtl", "-o", tmp_path / "a.html")
    assert code == 0
    assert "rtl not run: the core wave_lattice has extents of 2, 4, 8 and so on to 128: width must be a power" in said


def test_one_device_is_compared_with_nothing(ninefold: Run, tmp_path: Path) -> None:
    code, said, _ = demo(ninefold, "--device", "cpu", "--device", "loihi")
    assert code == 0
    assert "Only cpu ran: nothing was compared." in said
    assert "loihi not run: " in said
    assert (tmp_path / "wave.html").exists()


def test_no_device_is_no_page(ninefold: Run, tmp_path: Path) -> None:
    code, said, _ = demo(ninefold, "--device", "loihi")
    assert code == 3
    assert said.endswith("No device ran.")
    assert not (tmp_path / "wave.html").exists()


def test_progress_is_told_without_a_terminal(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NINEFOLD_QUIET")
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    run = Scheduler.run

    def slow(*arguments: Any, **options: Any) -> Any:
        progress.look()
        return run(*arguments, **options)

    monkeypatch.setattr(Scheduler, "run", slow)
    code, _, errors = demo(ninefold, "--device", "cpu")
    assert code == 0
    lines = [line for line in errors.splitlines() if line.startswith("running the wave on cpu: ")]
    assert re.match(r"running the wave on cpu: \d of 3", lines[0])
    assert "done in" in lines[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "wave.pdf"), "the page's name must end in .html, not 'wave.pdf'"),
        (("-o", "nowhere/wave.html"), "there is no folder"),
        (("--device", "cpu", "--device", "cpu"), "each device may be named once, not cpu, cpu"),
        (("--device", "abacus"), "abacus"),
        (("--height", "1"), "1 is not in the range 2<=x<=256"),
    ],
)
def test_bad_input(ninefold: Run, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    code, _, errors = demo(ninefold, *words)
    assert code == 2
    assert message in errors
    assert list(tmp_path.glob("wave*")) == []
