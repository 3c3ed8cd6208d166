"""The proofs hold, and each of them sees a fault that is planted in its core."""

import re
import sys
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ninefold.sim.formal import PROOFS, Method, Proof, Task, prove
from ninefold.sim.formal.prover import solve

TASKS = [(proof, task) for proofs in PROOFS.values() for proof in proofs for task in proof.tasks]

#: For each proof: a module, a line of it with a fault in its place, and the class to make from it.
FAULTS: dict[tuple[str, str], list[tuple[str, str, str]]] = {
    ("queue", "order"): [
        ("hdl.link.queue", "(given ^ taken) != self._depth", "(given ^ taken) != 2 * self._depth - 1"),
        ("hdl.link.queue", "(~shown | self.output.ready)", "~shown | self.output.ready"),
        ("hdl.link.queue", "read.en.eq(advance)", "read.en.eq(1)"),
    ],
    ("credit", "order"): [
        ("hdl.cores.credit", "credits != 0", "1"),
        ("hdl.cores.credit", "self.take & ~given", "self.take"),
    ],
}


def planted(module: str, line: str, fault: str) -> ModuleType:
    """Import a module anew with a fault in the place of a line."""
    spec = util.find_spec(f"ninefold.{module}")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text()
    assert text.count(line) == 1, f"{line!r} is not once in {module}"
    spoilt = ModuleType(f"spoilt_{module.rpartition('.')[2]}")
    spoilt.__file__ = spec.origin
    sys.modules[spoilt.__name__] = spoilt
    exec(compile(text.replace(line, fault), spec.origin, "exec"), spoilt.__dict__)  # noqa: S102
    return spoilt


def name_of(value: Any) -> str:
    return value.core if isinstance(value, Proof) else value.name if isinstance(value, Task) else str(value)


@pytest.mark.parametrize(("proof", "task"), TASKS, ids=name_of)
def test_proof(proof: Proof, task: Task) -> None:
    outcome = prove(proof, task)
    assert outcome.passed, (outcome.problems, outcome.trace)
    assert outcome.trace is None


@pytest.mark.parametrize(
    ("core", "name", "fault"), [(*key, fault) for key, faults in FAULTS.items() for fault in faults], ids=str
)
def test_a_planted_fault_is_seen(core: str, name: str, fault: tuple[str, str, str]) -> None:
    proof = next(proof for proof in PROOFS[core] if proof.name == name)
    spoilt = getattr(planted(*fault), type(proof.component()).__name__)(**proof.parameters)
    outcome = solve(proof.rtlil(spoilt), Method.BOUNDED, max(proof.depth, proof.cover))
    assert not outcome.passed
    assert outcome.problems, "nothing says what is at fault"
    assert outcome.trace is not None
    assert re.match(r"\$|\s", outcome.trace.read_text())


def test_every_proof_has_a_planted_fault() -> None:
    assert set(FAULTS) == {(proof.core, proof.name) for proofs in PROOFS.values() for proof in proofs}
