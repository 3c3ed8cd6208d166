import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ninefold.hdl import elaborate
from ninefold.host.cli import cli
from ninefold.sim.simulators import _reached
from ninefold.sim.verilated.compiler import Compilation
from ninefold.sim.waveforms import opening, save_files
from ninefold.spec.errors import ToolError
from tests.sim.stream_faults import FAULTS, wrapped
from tests.sim.test_testbenches import SIMULATORS, STREAMS
from tests.sim.test_waveforms import moved, read

TOPK = STREAMS["topk"]
TOPK_4 = ["sim", "topk", "--k", "4", "--score-width", "8", "--id-width", "5"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def plant_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = wrapped("topk", TOPK.parameters, TOPK.source, TOPK.sink).replace(
        "fault = 0", f"fault = {FAULTS['last lost']}"
    )
    monkeypatch.setattr(elaborate, "verilog", lambda _core: faulty)


def test_a_passing_run_prints_a_table_and_leaves_nothing(folder: Path) -> None:
    result = run(*TOPK_4, "--seed", "5", "--test", "directed", "--test", "orders")
    assert result.exit_code == 0, result.output
    assert "seed 5" in result.output
    assert len(re.findall(r"(directed|orders) +│ passed │ +[1-9]\d* │", result.output)) == 2
    assert "latency" not in result.output
    assert list(folder.iterdir()) == []


def test_a_seed_is_chosen_and_printed() -> None:
    result = run(*TOPK_4, "--test", "directed")
    assert result.exit_code == 0, result.output
    assert re.match(r"seed \d+\n", result.output)


def test_a_failing_run_can_be_repeated_and_keeps_its_waveform(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_fault(monkeypatch)
    first = run(*TOPK_4, "--seed", "5", "--test", "orders", "--test", "random_batches")
    assert first.exit_code == 1
    assert "seed 5" in first.output
    waveform = folder / "topk-5.fst"
    assert f"waveform: {waveform}" in first.output
    for line in opening(waveform):
        assert f"open with: {line}\n" in first.output
    assert all(path.exists() for path in save_files(waveform))
    assert waveform.stat().st_size > 1000
    assert "was due" in (folder / "topk-5.log").read_text()
    assert _reached(folder / "topk-5.log") == (1, 2)  # the last of two tests was running
    again = re.search("repeat with: ninefold (.*)", first.output)
    assert again is not None
    second = run(*shlex.split(again[1]))
    assert second.exit_code == 1
    failure = re.compile(r"^(?:orders|random_batches): .*was due", re.MULTILINE)
    assert failure.findall(first.output) == failure.findall(second.output) != []


def test_what_failed_is_printed_before_it_is_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_fault(monkeypatch)

    def recorded(*_arguments: Any) -> None:
        raise ToolError("interrupted while building for waveforms")

    monkeypatch.setattr("ninefold.sim.simulation._Run.recorded", recorded)
    result = run(*TOPK_4, "--seed", "5", "--test", "orders", "--test", "random_batches")
    assert result.exit_code == 3
    assert "seed 5" in result.stdout
    assert re.search(r"^(?:orders|random_batches): .*was due", result.stdout, re.MULTILINE)
    assert "repeat with: ninefold sim topk" in result.stdout
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_waves_are_kept_of_a_passing_run_on_demand(folder: Path, simulator: str) -> None:
    arguments = [*TOPK_4, "--seed", "5", "--test", "directed", "--waves", "--simulator", simulator]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert f"waveform: {folder / 'topk-5.fst'}" in result.output
    changes, widths = read(folder / "topk-5.fst")
    assert {name: widths[f"top.scores__payload.{name}"] for name in ("score", "id", "last")} == {
        "score": 8,
        "id": 5,
        "last": 1,
    }
    # The written-down batch of the test, the best first: the highest score with ids 0 and 1.
    fields = zip(moved(changes, "results", "score"), moved(changes, "results", "id"), strict=True)
    assert [(int(score, 2), int(number, 2)) for score, number in fields][:2] == [(127, 0), (127, 1)]
    assert "top.cell_0.slot.entry.score" in changes, "a field of a field"
    assert not any(re.match(r".*\.\$", name) for name in changes)
    assert run(*arguments, "--vcd").exit_code == 0
    assert (folder / "topk-5.vcd").read_text().startswith("$version Ninefold")


def test_a_simulation_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(*TOPK_4, "--test", "directed").exit_code == 0

    def build(*_arguments: Any) -> None:
        raise ToolError("built again")

    monkeypatch.setattr(Compilation, "build", build)
    assert run(*TOPK_4, "--test", "directed").exit_code == 0
    assert run(*TOPK_4[:-1], "6", "--test", "directed").exit_code == 3


def test_a_missing_simulator_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = run(*TOPK_4, "--simulator", "icarus")
    assert result.exit_code == 2
    assert "Icarus Verilog (iverilog and vvp) was not found on PATH" in result.output
    assert "apt install iverilog" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--test", "nosuch"],
            "the testbench of topk has no test 'nosuch', only directed, orders, every_short_sequence, each_",
        ),
        (["--k", "0"], "k must be an integer from 1 to 256, not 0"),
        (["--lanes", "4"], "topk does not take --lanes; its parameters are --k, "),
        (["--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], said: str) -> None:
    result = run(*TOPK_4, *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not re.search(r"^seed", result.output, re.MULTILINE), "nothing has begun"


def test_parameters_are_those_of_the_benches() -> None:
    assert [str(v) for v in TOPK.parameters.values()][:3] == TOPK_4[3::2], "another build, and a slower test"
