"""Yosys as a program: its options, its failures, and that there is one."""

import subprocess
from pathlib import Path

import pytest

from ninefold.hdl import yosys
from ninefold.spec.errors import ToolError, UnavailableError

DESIGN = "module top(input a, output b); assign b = ~a; endmodule\n"


@pytest.fixture
def design(tmp_path: Path) -> Path:
    (tmp_path / "top.v").write_text(DESIGN)
    return tmp_path


def test_commands_run_in_a_folder(design: Path) -> None:
    yosys.run("read_verilog top.v; prep -top top\ntee -q -o stat.json stat -json", design)
    assert '"$not": 1' in (design / "stat.json").read_text()


def test_a_failure_carries_what_yosys_said(design: Path) -> None:
    with pytest.raises(ToolError, match=r"(?s)failed with exit code 1:.*No such command: nothing"):
        yosys.run("read_verilog top.v; nothing", design)


def test_a_script_with_a_log(design: Path) -> None:
    (design / "run.ys").write_text("read_verilog top.v\nhierarchy -top top\n")
    done = subprocess.run([*yosys.command(), "-ql", "log", "run.ys"], cwd=design, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Executing HIERARCHY pass" in (design / "log").read_text()


@pytest.mark.parametrize("arguments", [[], ["-x"], ["-p", "stat", "script"], ["-l", "log"]])
def test_other_arguments_are_refused(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([*yosys.command(), *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python -m ninefold.hdl.yosys")
    assert not list(tmp_path.iterdir())


def test_abc_and_the_models_of_cells(design: Path) -> None:
    yosys.run("read_verilog top.v; prep -top top; simplemap; aigmap; write_aiger top.aig", design)
    yosys.abc("read_aiger top.aig; bmc3 -F 2; write_status status.txt", design)
    assert (design / "status.txt").exists()
    assert "module SB_LUT4" in (yosys.share() / "ice40" / "cells_sim.v").read_text()


def test_without_pyosys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(yosys, "PACKAGE", "pyosys-that-is-not-there")
    for ask in (yosys.version, yosys.share, lambda: yosys.run("stat", tmp_path)):
        with pytest.raises(UnavailableError, match=r'is not installed; pip install "ninefold\[hdl\]"'):
            ask()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-h"], 0, "usage: python -m ninefold.hdl.yosys"),
        (["--help"], 0, "usage: python -m ninefold.hdl.yosys"),
        ([], 1, "usage: python -m ninefold.hdl.yosys"),
        (["-l", "/proc/x/l", "-p", "help"], 1, "error: the log /proc/x/l cannot be written: No such file or directory"),
        (["-q", "-p", "nothing"], 1, "No such command: nothing"),
    ],
)
def test_the_command_line(words: list[str], code: int, said: str) -> None:
    done = subprocess.run([*yosys.command(), *words], capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
