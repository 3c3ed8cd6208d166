"""``ninefold conform`` and ``ninefold run`` on operators of a third party's package."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ninefold.numerics.states import load_state, save_state
from ninefold.sim.conformance import cases_of
from ninefold.spec import operators
from ninefold.spec.operators import OPERATORS
from tests.packages import COUNTER, PARITY, added, written

from .conftest import Run


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the operators that a command adds for the rest of its process."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    cases_of.cache_clear()
    for name, package in list(operators.PACKAGES.items()):
        operators.remove(name)
        del sys.modules[package]


def test_a_right_and_a_wrong_package(ninefold: Run, tmp_path: Path) -> None:
    right = ninefold("conform", written(tmp_path, "right", PARITY), "--device", "cpu", "--device", "rtl")
    assert right.exit_code == 0
    cpu, rtl = right.stdout.splitlines()
    assert cpu == "parity  cpu: 3 cases, none wrong"
    assert rtl.startswith("parity  rtl: not run: ")
    operators.remove("parity")
    cases_of.cache_clear()
    wrong = written(tmp_path, "wrong", PARITY, cpu=PARITY["cpu"].replace("& 1)", "& 1 ^ 1)"))
    result = ninefold("conform", wrong, "--device", "cpu", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["flaws"].keys() == {"1 rows", "7 rows"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conform"], "no other package provides an operator or a core: name the path of one"),
        (["conform", "topk"], "topk is Ninefold's own: run `pytest tests/conformance -k topk` in its sources"),
        (["conform", "tpk"], "a package must be a path, or the name of one (none is installed), not 'tpk'"),
        (["conform", "./none"], "none must be the folder of a package or a .py file, and does not exist"),
        (["run", "tpk"], "not 'tpk'; did you mean 'topk'?"),
        (["run", "topk", "--arg", "scores"], "--arg must be NAME=VALUE, not 'scores'"),
        (["run", "topk", "--arg", "x=1"], "topk argument must be one of scores, ids, not 'x'"),
        (["run", "topk", "--arg", "scores=1", "--arg", "scores=2"], "--arg scores is given twice"),
        (["run", "topk", "--option", "k=2"], "topk needs the argument scores"),
        (["run", "topk", "--arg", "scores=[[1]]", "--option", "k=two"], "k must be an integer from 1 to 256"),
        (["run", "topk", "--arg", "scores=s.npy", "--option", "k=1"], "there is no file s.npy"),
        (["run", "topk", "--arg", "scores=[1]", "--option", "k=1"], "scores must have shape (Q, N), not (1,)"),
        (
            ["run", "topk", "--arg", "scores=[[1]]", "--option", "k=1", "--state-out", "s.npz"],
            "topk has no next state for --state-out",
        ),
    ],
)  # fmt: skip
def test_refusals(ninefold: Run, words: list[str], message: str) -> None:
    result = ninefold(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_run_prints_or_writes_its_results(ninefold: Run, folders: Path) -> None:
    np.save(folders / "s.npy", np.array([[3, 1, 2]], np.int32))
    call = ["run", "topk", "--arg", "scores=s.npy", "--option", "k=2", "--device", "cpu"]
    shown = ninefold(*call)
    assert shown.stdout.splitlines() == [
        "ids: int64 (1, 2): 0, 2",
        "scores: int32 (1, 2): 3, 2",
        "count: int64 (1,): 2",
    ]
    assert shown.stderr.startswith("answered by cpu (")
    assert ninefold(*call, "-o", "out.npz").exit_code == 0
    with np.load(folders / "out.npz") as written_values:
        assert {name: written_values[name].tolist() for name in written_values} == {
            "ids": [[0, 2]],
            "scores": [[3, 2]],
            "count": [2],
        }


def test_a_database_comes_from_arrays(ninefold: Run, folders: Path) -> None:
    np.save(folders / "q.npy", np.eye(4, dtype=np.float32))
    nits = np.array([[0x04, 0x00], [0x40, 0x00], [0x00, 0x04], [0x00, 0x40]], np.uint8)
    np.savez(folders / "d.npz", nits=nits, rows=4, dimensions=4, scale=1.0, mode="tanh")
    result = ninefold(
        "run", "mine", "--arg", "q=q.npy", "--arg", "database=d.npz", "--option", "k=1", "--device", "cpu"
    )
    assert result.stdout.splitlines()[0] == "ids: int64 (4, 1): 0, 1, 2, 3"


def test_signatures_are_printed(ninefold: Run) -> None:
    assert any(line.startswith("calibrate ") for line in ninefold("run").stdout.splitlines())
    lines = ninefold("run", "topk").stdout.splitlines()
    assert "  scores: int32 or float32 (Q, N); scores in order of arrival" in lines
    assert "  k: an integer from 1 to 256, required; maximum number of results per row" in lines


def test_steps_go_on_from_a_saved_state(ninefold: Run, folders: Path) -> None:
    package = written(folders, "tallies", COUNTER)
    with added(package):
        counts = OPERATORS["tally"].layout_of("counts")
        arrays = {"count": np.zeros(3, np.int64), "last": np.int64(-1)}
        save_state(counts.state("visits", arrays, {"classes": 3}), folders / "s.npz")
    step = ["run", package, "--arg", "counts=s.npz", "--arg", "events=[2, 0, 2]"]
    assert "needs --state-out FILE for the next state" in ninefold(*step).stderr
    for total in (3, 6):
        result = ninefold(*step, "--state-out", "s.npz")
        assert result.stdout == f"total: int64 (): {total}\n"
    state = load_state(folders / "s.npz")
    assert (state.version, state.arrays["count"].tolist(), int(state.arrays["last"])) == (2, [2, 0, 4], 2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[[3, 1, 2]]", "scores: int32 (1, 2): 3, 2"),
        ("[[2.5, 2.9, 3.1]]", "scores: float32 (1, 2): 3.09"),
        ("[[16777216, 0.5]]", "scores: float32 (1, 2): 16777216.0, 0.5"),
    ],
)
def test_json_numbers_take_a_dtype_that_holds_them(ninefold: Run, text: str, shown: str) -> None:
    result = ninefold("run", "topk", "--arg", f"scores={text}", "--option", "k=2", "--device", "cpu")
    assert shown in result.stdout


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("scores=[[3, 99999999999]]", "scores must be numbers that int32 or float32 holds exactly"),
        ("scores=[[3,7],[1]]", "scores must be JSON numbers in lists of equal lengths, not [[3,7],[1]]: "),
        ('scores=[["a"]]', 'scores must be JSON numbers, not [["a"]]'),
        ("scores=[[null]]", "scores must be JSON numbers, not [[null]]"),
        ('scores={"a": 1}', "scores must be JSON numbers"),
        ("ids=[1.5, 2]", "ids must be numbers that int64 holds exactly, not [1.5, 2]"),
        ("scores=s.npz", "scores must be a file, and there is no file s.npz"),
    ],
)  # fmt: skip
def test_json_that_does_not_fit(ninefold: Run, argument: str, message: str) -> None:
    words = ["--arg", argument, *([] if argument.startswith("scores") else ["--arg", "scores=[[1, 2]]"])]
    result = ninefold("run", "topk", *words, "--option", "k=2")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_broken_module_of_one_operator_leaves_the_backend(ninefold: Run, tmp_path: Path) -> None:
    broken = written(tmp_path, "broken", PARITY, cpu="import numppy\n")
    result = ninefold("conform", broken, "--device", "cpu")
    assert result.exit_code == 0
    assert "broken.cpu cannot be imported: ModuleNotFoundError: No module named 'numppy'" in result.stdout
    assert (
        ninefold("run", "topk", "--arg", "scores=[[1]]", "--option", "k=1", "--device", "cpu", "--strict").exit_code
        == 0
    )
