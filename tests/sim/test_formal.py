"""The proofs hold, and each of them sees a fault that is planted in its core."""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from ninefold.host.cli import cli
from ninefold.sim.formal import Method, Proof, Task, prove
from ninefold.sim.formal.catalogue import proof_faults, proofs
from ninefold.sim.formal.page import page
from ninefold.sim.formal.prover import solve
from ninefold.spec.errors import UnavailableError
from tests.sampling import spread

PROOFS = proofs()
TASKS = [(proof, task) for found in PROOFS.values() for proof in found for task in proof.tasks]
FAULTS = proof_faults()

#: Each day tests every third planted fault; ``pytest -m slow`` tests the others.
EVERY = 3

#: Proofs that see faults from any state that keeps to the invariants: from reset on it takes too many cycles to them.
DEEP = {
    ("executor", "requests"),
    ("executor", "scans"),
    ("stream_executor", "requests"),
    ("stream_replies", "building"),
}


def planted(monkeypatch: pytest.MonkeyPatch, module: str, line: str, fault: str) -> ModuleType:
    """Import a module again with a fault in the place of a line, and let others use its classes."""
    sound = import_module(f"ninefold.{module}")
    assert sound.__file__ is not None
    text = Path(sound.__file__).read_text()
    assert text.count(line) == 1, f"{line!r} is not once in {module}"
    spoilt = ModuleType(f"spoilt_{module.rpartition('.')[2]}")
    spoilt.__file__ = sound.__file__
    monkeypatch.setitem(sys.modules, spoilt.__name__, spoilt)
    exec(compile(text.replace(line, fault), sound.__file__, "exec"), spoilt.__dict__)  # noqa: S102
    classes = {name: getattr(sound, name) for name in sound.__all__}
    for user in [known for name, known in sys.modules.items() if name.startswith("ninefold.")]:
        for name, original in classes.items():
            if getattr(user, name, None) is original:
                monkeypatch.setattr(user, name, getattr(spoilt, name))
    return spoilt


def name_of(value: Any) -> str:
    return value.core if isinstance(value, Proof) else value.name if isinstance(value, Task) else str(value)


@pytest.mark.parametrize(("proof", "task"), TASKS, ids=name_of)
def test_proof(proof: Proof, task: Task) -> None:
    outcome = prove(proof, task)
    assert outcome.passed, (outcome.problems, outcome.trace)
    assert outcome.trace is None


@pytest.mark.parametrize(
    ("core", "name", "fault"),
    spread(((*key, fault) for key, faults in FAULTS.items() for fault in faults), EVERY),
    ids=str,
)
def test_a_planted_fault_is_seen(
    monkeypatch: pytest.MonkeyPatch, core: str, name: str, fault: tuple[str, str, str]
) -> None:
    proof = next(proof for proof in PROOFS[core] if proof.name == name)
    made = type(proof.component()).__name__
    spoilt = planted(monkeypatch, *fault)
    # What makes a core by a function of its own finds the spoilt class there.
    there = hasattr(spoilt, made) and not isinstance(proof.make, FunctionType)
    component = getattr(spoilt, made)(**proof.parameters) if there else proof.component()
    deep = (core, name) in DEEP
    method, depth = (proof.method, proof.depth) if deep else (Method.BOUNDED, max(proof.depth, proof.cover))
    outcome = solve(proof.rtlil(component), method, depth)
    assert not outcome.passed
    assert outcome.problems, "nothing says what is at fault"
    assert outcome.trace is not None
    assert re.match(r"\$|\s", outcome.trace.read_text())


def test_every_proof_has_a_planted_fault() -> None:
    assert set(FAULTS) == {(proof.core, proof.name) for found in PROOFS.values() for proof in found}


def test_the_page_is_that_of_the_catalogue() -> None:
    assert (Path(__file__).parents[2] / "docs" / "proofs.md").read_text() == page(), "ninefold prove all --page"


def test_the_readme_counts_the_proofs() -> None:
    found = [proof for proofs in PROOFS.values() for proof in proofs]
    unbounded = sum(proof.method is Method.INDUCTION for proof in found)
    assert f"| {len(found)}, {unbounded} of them unbounded |" in (Path(__file__).parents[2] / "README.md").read_text()


def test_command_prints_what_was_proved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["prove", "queue", "--task", "order", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["core"], found["task"], found["passed"], found["problems"]) == ("queue", "order", True, [])
    result = CliRunner().invoke(cli, ["prove", "queue", "--task", "order.cover"])
    assert re.match(r"queue +order.cover +cover, 16 cycles +passed \(\d+ s", result.output)
    assert list(tmp_path.iterdir()) == []


def test_command_keeps_the_trace_of_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    planted(monkeypatch, "hdl.cores.cobs_encoder", "empty_due.eq(zero & last)", "empty_due.eq(0)")
    result = CliRunner().invoke(cli, ["prove", "cobs_encoder", "--task", "round_trip"])
    assert result.exit_code == 1
    assert "FAILED" in result.output
    assert re.search(r"\w+\.py:\d+: m\.d\.comb \+= Assert", result.output), "the line of the assertion"
    assert (tmp_path / "cobs_encoder-round_trip.vcd").stat().st_size > 1000


def test_command_refuses_an_unknown_task() -> None:
    result = CliRunner().invoke(cli, ["prove", "credit", "--task", "x"])
    assert result.exit_code == 2
    assert "credit has no task 'x', only order, order.cover" in result.output


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (proof,) = PROOFS["credit"]
    with pytest.raises(UnavailableError, match="yowasp-sby is neither beside python nor on PATH"):
        prove(proof, proof.tasks[0])
    assert not list((tmp_path / "proofs").glob("[0-9a-f]*"))
