"""A user's core is tested from its streams and a golden function, and each fault of a core is found and explained."""

from __future__ import annotations

import re
import shutil
from binascii import crc_hqx
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host.cli import cli
from ninefold.sim import simulation
from ninefold.sim.formal import prove
from ninefold.sim.formal.catalogue import proofs_of
from ninefold.sim.levels import Setup, compare
from ninefold.sim.levels.cases import case_of
from ninefold.sim.own.contract import Batch, contract_of
from ninefold.sim.own.stimulus import draw
from ninefold.sim.simulation import simulate
from ninefold.spec.errors import InputError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "own"
SMALL = {"dot8": {"LANES": 1}, "crc16": {}, "axis_fifo": {"DEPTH_LOG2": 2}}

#: Faults of the dot product: edits of the Verilog, then the test, the proof's task, and their words.
FAULTS: Mapping[str, tuple[tuple[tuple[str, str], ...], dict[str, str], dict[str, str]]] = {
    "drops under back-pressure": (
        (
            ("assign a_ready = !y_valid || y_ready;", "wire free = !y_valid || y_ready; assign a_ready = 1;"),
            ("else if (a_ready) y_valid", "else if (free) y_valid"),
            ("if (a_ready) y_sum", "if (free) y_sum"),
        ),
        {"random_back_pressure": r"y, word \d+: sum=-?\d+, where sum=-?\d+ was due, for x=\[-?\d+\] w=\[-?\d+\]"},
        {"contract": "an output is lost, or later than its latency"},
    ),
    "changes while waiting": (
        (("if (a_ready) y_sum", "y_sum"),),
        {"random_back_pressure": r"y: sum=-?\d+ became sum=-?\d+ while it was offered"},
        {"contract": "an offer changed"},
    ),
    "never answers": (
        (("y_valid <= a_valid", "y_valid <= 0"),),
        {"edge_payloads": r"nothing has moved for 5000 cycles, with 0 words still to be sent and 48 still due"},
        {"contract": "an output is lost", "contract.cover": "no output of "},
    ),
    "is a cycle late": (
        (
            ("integer i;", "integer i; reg early; reg signed [18:0] held;"),
            ("if (rst) y_valid <= 0;", "if (rst) {early, y_valid} <= 0;"),
            ("y_valid <= a_valid;", "{y_valid, early} <= {early, a_valid};"),
            ("y_sum <= total;", "{y_sum, held} <= {held, total};"),
        ),
        {"one_at_a_time": r"y, word 0: offered 2 cycles after its input was accepted, .* declared as 1"},
        {},
    ),
}


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record no waveforms, whose simulation is compiled apart."""
    monkeypatch.setattr(simulation._Run, "recorded", lambda *_: [])


def changed(folder: Path, *edits: tuple[str, str], golden: tuple[str, str] | None = None) -> str:
    """Return the path of a copy of the dot product with these edits."""
    verilog = (FIXTURES / "dot8.v").read_text()
    for old, new in edits:
        assert verilog.count(old) == 1, old
        verilog = verilog.replace(old, new)
    (folder / "dot8.v").write_text(verilog)
    text = (FIXTURES / "dot8.py").read_text()
    name = f"dot8_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(text if golden is None else text.replace(*golden))
    return str(folder / f"{name}.py")


def failures(core: str, folder: Path, parameters: Mapping[str, Any]) -> dict[str, str]:
    report = simulate(core, parameters, seed=3, folder=folder)
    return {test.name: test.message.splitlines()[0] for test in report.outcomes if not test.passed}


@pytest.mark.parametrize("name", SMALL)
def test_a_right_core_passes_its_tests_proof_and_levels(name: str, tmp_path: Path) -> None:
    core = str(FIXTURES / f"{name}.py")
    report = simulate(core, SMALL[name], seed=1, folder=tmp_path)
    assert [test.name for test in report.outcomes if test.passed] == [
        "edge_payloads",
        "random_back_pressure",
        "one_at_a_time",
        "reset_in_mid_stream",
    ]
    (proof,) = proofs_of(core)
    assert [prove(proof, task).problems for task in proof.tasks] == [(), ()]
    case = case_of(core, SMALL[name], 12, 1, 8)
    results = {one.level: one.status for one in compare(case, Setup(tmp_path, name), ("golden", "rtl", "ice40"))}
    assert results == {"golden": "agrees", "rtl": "agrees", "ice40": "agrees"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("unrecorded")
def test_each_fault_is_found_and_explained(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits, tests, tasks = FAULTS[fault]
    core = changed(tmp_path, *edits)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["sim", Path(core).name, "--LANES", "1", "--seed", "3"])
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0]) == (1, "seed 3")
    assert len(lines) < 20, "with the lines of its waveform it does not fit one screen"
    for test, said in tests.items():
        assert re.search(f"^{test}: .*{said}", result.stdout, re.M), result.stdout
        assert re.search(f"^repeat with: ninefold sim .* --seed 3 .*--test {test}", result.stdout, re.M), result.stdout
    (proof,) = proofs_of(core)
    problems = {task.name: prove(proof, task).problems for task in proof.tasks if task.name in tasks}
    for name, said in tasks.items():
        assert any(said in problem for problem in problems[name]), problems


def test_a_wrong_golden_function_is_shown_in_one_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = changed(tmp_path, golden=(".sum(axis=1)", ".sum(axis=1) + 1"))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["sim", Path(core).name, "--LANES", "1", "--seed", "3", "--test", "edge_payloads"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) < 24, "it does not fit one screen"
    name = Path(core).stem
    assert lines[0] == "seed 3"
    assert re.search(
        r"^edge_payloads: y, word 0: sum=(-?\d+), where sum=(-?\d+) was due, for x=\[.*\] w=\[.*\]$",
        result.stdout,
        re.M,
    )
    assert f"repeat with: ninefold sim {name}.py --LANES 1 --simulator verilator --seed 3 --test edge_payloads" in lines
    assert (tmp_path / f"{name}-3.fst").exists()
    differs = CliRunner().invoke(cli, ["compare", Path(core).name, "--LANES", "1", "--seed", "3", "--level", "rtl"])
    assert (differs.exit_code, "y, payload 0, element 0: sum is " in differs.stdout) == (1, True), differs.output


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        ("def golden(x, v): ...", "golden of lone must take x, w, the columns of its inputs, not x, v"),
        ("def golden(x, w): return 3", "golden of lone must return a dict of sum, not int"),
        ("def golden(x, w): return {'total': x}", "golden of lone must return sum, not total"),
        (
            "def golden(x, w): return {'sum': x.sum(axis=1) / 2}",
            r"sum of the answer .* must be integers \(sum: int32 of 19",
        ),
        (
            "def golden(x, w): return {'sum': x}",
            r"sum of the answer of golden of lone must have shape \(5,\) .*not \(5, 2\)",
        ),
        ("def golden(x, w): return {'sum': [1 << 18] * 5}", "must be from -262144 to 262143, not 262144"),
        (
            "def golden(x, w): return 1 // 0",
            "golden of lone raised ZeroDivisionError: integer division or modulo by zero",
        ),
        ("golden = 3", "golden of lone must be a function, not 3"),
    ],
)
def test_a_golden_function_that_does_not_fit_is_refused(golden: str, said: str, tmp_path: Path) -> None:
    shutil.copyfile(FIXTURES / "dot8.v", tmp_path / "dot8.v")
    name = f"lone_{tmp_path.name}".replace("-", "_")
    text = (FIXTURES / "dot8.py").read_text().partition("def golden")[0]
    (tmp_path / f"{name}.py").write_text(text + golden + "\n")
    with pytest.raises(InputError, match=said.replace("lone", name)):
        asked(str(tmp_path / f"{name}.py"))


def asked(core: str) -> dict[str, Batch]:
    contract = contract_of(core, {"LANES": 2})
    return contract.expected(draw(contract, np.random.default_rng(1), 5))


def test_payloads_of_packets_go_to_the_golden_function_one_packet_at_a_time() -> None:
    contract = contract_of(str(FIXTURES / "crc16.py"), {})
    last = np.array([0, 0, 1, 1, 0, 1], bool)
    inputs = {"bytes": Batch({"data": np.frombuffer(b"123456", np.uint8)}, last)}
    answers = contract.expected(inputs)
    assert answers["crc"].columns["crc"].tolist() == [crc_hqx(part, 0) for part in (b"123", b"4", b"56")]
    assert contract.due(inputs, "crc", 3).tolist() == [0, 1, 1, 1, 2, 3, 3]
    fifo = contract_of(str(FIXTURES / "axis_fifo.py"), {})
    copies = fifo.expected({"s_axis": Batch({"data": np.arange(6, dtype=np.uint8)}, last)})
    assert copies["m_axis"].last is not None
    assert copies["m_axis"].last.tolist() == last.tolist()


def test_what_is_drawn_has_the_edges_of_every_column() -> None:
    contract = contract_of(str(FIXTURES / "dot8.py"), {"LANES": 2})
    drawn = draw(contract, np.random.default_rng(1), 200, edges=True)["a"].columns["x"]
    assert set(np.unique(drawn)) == {-128, -1, 0, 1, 42, 85, 127}
    packets = draw(contract_of(str(FIXTURES / "crc16.py"), {}), np.random.default_rng(1), 50)["bytes"].last
    assert packets is not None
    assert packets[-1]


def test_what_verilator_refuses_has_file_and_line(tmp_path: Path) -> None:
    # Yosys takes an assignment to a wire in a process.
    core = changed(tmp_path, ("reg signed [18:0] total", "wire signed [18:0] total"))
    with pytest.raises(InputError, match=r"^Verilator refuses dot8.v:17: .*total"):
        simulate(core, SMALL["dot8"], seed=3, folder=tmp_path)


def test_control_registers_have_their_initial_values_in_a_simulation(tmp_path: Path) -> None:
    core = str(FIXTURES / "scaled.py")
    assert failures(core, tmp_path, {}) == {}


@pytest.mark.parametrize("name", ["sums", "join"])
def test_a_core_with_state_and_several_streams_passes(name: str, tmp_path: Path) -> None:
    core = str(FIXTURES / f"{name}.py")
    assert failures(core, tmp_path, {}) == {}
    (result,) = compare(case_of(core, {}, 12, 1, 8), Setup(tmp_path, name), ("rtl",))
    assert result.status == "agrees"
    contract = contract_of(core, {})
    assert contract.one_for_one == (name == "join")
