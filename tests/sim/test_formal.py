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
from ninefold.sim.formal import PROOFS, Method, Proof, Task, prove
from ninefold.sim.formal.page import page
from ninefold.sim.formal.prover import solve
from ninefold.spec.errors import UnavailableError

TASKS = [(proof, task) for proofs in PROOFS.values() for proof in proofs for task in proof.tasks]

#: For each proof: a module, a line of it with a fault in its place, and the class to make from it.
FAULTS: dict[tuple[str, str], list[tuple[str, str, str]]] = {
    ("topk", "selection"): [
        (
            "hdl.cores.topk",
            "(Cat(kept.score, kept_valid) - incoming)[-1]",
            "(Cat(kept.score, kept_valid) - incoming - 1)[-1]",
        ),
        ("hdl.cores.topk", "kept_valid & ~begins", "kept_valid"),
    ],
    ("topk", "entrance"): [
        ("hdl.cores.topk", "gap <= 1", "gap <= 2"),
        ("hdl.cores.topk", "room >= 3", "room >= 2"),
    ],
    ("insertion", "selection"): [
        ("hdl.cores.insertion", "held.score > above.score", "held.score >= above.score"),
        ("hdl.cores.insertion", "last.eq(left == 1)", "last.eq(left == 2)"),
    ],
    ("quantiser", "rule"): [
        ("hdl.cores.quantiser", "magnitude >= threshold", "magnitude > threshold"),
        ("hdl.cores.quantiser", "Mux(negative[1], -count, count)", "Mux(negative[0], -count, count)"),
    ],
    ("dot", "sum"): [("hdl.parts.dot", "high.sum + (high.sum << 1)", "high.sum << 1")],
    ("similarity", "scores"): [
        ("hdl.cores.similarity", "Mux(new, 0, score) + dot.sum", "score + dot.sum"),
        ("hdl.cores.similarity", "Mux(final, 0, identifier + 1)", "identifier + 1"),
    ],
    ("uart_transmitter", "line"): [
        ("hdl.cores.uart_transmitter", "Mux(left == 1, 0, self.divisor - 1)", "self.divisor - 1"),
        ("hdl.cores.uart_transmitter", "(left <= 1)", "(left <= 2)"),
    ],
    ("uart_receiver", "bytes"): [
        ("hdl.cores.uart_receiver", "timer.eq(self.divisor // 2 - 1)", "timer.eq(0)"),
        ("hdl.cores.uart_receiver", "shifted.eq(Cat(shifted[1:], line))", "shifted.eq(Cat(line, shifted[:-1]))"),
    ],
    ("framing", "round_trip"): [
        ("hdl.cores.cobs_decoder", "byte != self.group + 1", "1"),
        ("hdl.cores.cobs_encoder", "empty_due.eq(zero & last)", "empty_due.eq(0)"),
    ],
    ("frame_receiver", "buffer"): [("hdl.cores.frame_receiver", "(taken != sound)", "(taken != end)")],
    ("frame_receiver", "acceptance"): [
        ("hdl.cores.frame_receiver", "_HEADER_BYTES + _CRC_BYTES - 1)", "_HEADER_BYTES + _CRC_BYTES - 2)"),
        (
            "hdl.cores.frame_receiver",
            "queue.input.valid.eq(closes & counted & matches)",
            "queue.input.valid.eq(closes & counted)",
        ),
    ],
    ("frame_sender", "frames"): [
        ("hdl.cores.frame_sender", "last.eq(index == 3)", "last.eq(index == 2)"),
        ("hdl.cores.frame_sender", "crc.start.eq(1)", "crc.start.eq(0)"),
    ],
    ("crc", "steps"): [
        ("sim.formal.checksums", "catalog.CRC32_ISO_HDLC", "catalog.CRC32_ISCSI"),
        ("sim.formal.checksums", "unit.start.eq(self.start)", "unit.start.eq(0)"),
    ],
    ("stage", "order"): [
        ("hdl.parts.stage", "Mux(spills, spilled, self.input.payload)", "self.input.payload"),
        ("hdl.parts.stage", "spills | self.input.valid", "self.input.valid"),
    ],
    ("word_packer", "words"): [
        ("hdl.miner.words", "pending.eq(count == self._bytes - 1)", "pending.eq(count == self._bytes - 2)"),
    ],
    ("word_packer", "long_words"): [
        ("hdl.miner.words", "Cat(self.pending, settled)[-1]", "Cat(self.pending, settled)[-2]"),
    ],
    ("word_packer", "longest_words"): [("hdl.parts.relay", "regions[i // _NEIGHBOURS]", "pulse")],
    ("counter", "count"): [("hdl.miner.counters", "pending.eq(pending + self.event)", "pending.eq(pending)")],
    ("row_counter", "counts"): [
        ("hdl.miner.rows", "crc.start.eq(self.restart)", "crc.start.eq(0)"),
        ("hdl.miner.rows", "self._row_bytes - 1", "self._row_bytes - 2"),
    ],
    ("registers", "words"): [
        ("hdl.miner.registers", "self.clear | self.clear_epoch", "self.clear_epoch"),
        ("hdl.miner.registers", '"stalls": (self.events.stalls', '"stalls": (self.events.dropped'),
    ],
    ("intake", "ways"): [
        ("hdl.miner.intake", "self.ends & rows & (left == 1)", "self.ends & (left == 1)"),
        ("hdl.miner.intake", "self.more.eq(left != 1)", "self.more.eq(left != 0)"),
    ],
    ("word_store", "words"): [("hdl.parts.store", "written_before.eq(written)", "written_before.eq(0)")],
    ("pipeline", "order"): [
        ("hdl.cores.pipeline", "(beat == 0) & (held == 0)", "beat == 0"),
        ("hdl.cores.pipeline", "values_pass.eq(beat != 0)", "values_pass.eq(1)"),
    ],
    ("byte_quantiser", "halves"): [
        ("hdl.miner.words", "~high_next | values.ready", "1"),
        ("hdl.miner.words", "nits.ready.eq(~second_next | self.output.ready)", "nits.ready.eq(1)"),
    ],
    ("queue", "order"): [
        ("hdl.cores.queue", "room.eq(advance | (room", "room.eq(1 | (room"),
        ("hdl.cores.queue", "(given != taken) & (~shown | moves)", "~shown | moves"),
        ("hdl.cores.queue", "read.en.eq(advance)", "read.en.eq(1)"),
    ],
    ("queue", "registered"): [
        ("hdl.cores.queue", "moves.eq(shown & (~offered | self.output.ready))", "moves.eq(shown)"),
        ("hdl.cores.queue", "offered.eq(moves | (offered & ~self.output.ready))", "offered.eq(moves)"),
    ],
    ("replies", "building"): [
        ("hdl.miner.replies", "Mux(literals == job.literals, job.first, job.second)", "job.first"),
        ("hdl.miner.replies", "self.address.eq(self.address + 1)", "self.address.eq(self.address)"),
        ("hdl.miner.replies", "index < job.results", "index <= job.results"),
        ("hdl.miner.replies", "self.hold.eq(job.words != 0)", "self.hold.eq(0)"),
    ],
    ("replies", "sending"): [
        ("hdl.miner.replies", "ends.eq(position == final)", "ends.eq(position + 1 == final)"),
        ("hdl.miner.replies", "advance.eq(ready & ~ends & (~shown | moves))", "advance.eq(ready & (~shown | moves))"),
        ("hdl.miner.replies", "moves.eq(shown & (~offered | self.frames.ready))", "moves.eq(shown)"),
    ],
    ("replies", "sending_of_two"): [("hdl.miner.replies", "depth=max(window, 3)", "depth=window")],
    ("executor", "requests"): [
        ("hdl.miner.executor", "known & (difference == 0)", "difference == 0"),
        ("hdl.miner.executor", "m.Elif(~self._slot_busy)", "m.Elif(1)"),
        ("hdl.miner.executor", "self._keeps.eq(1)", "self._keeps.eq(0)"),
        ("hdl.miner.executor", "self._known & ~self._hot", "self._known"),
        ("hdl.miner.executor", "self.sent << self.sent_slot", "self.sent"),
        ("hdl.miner.executor", "length == (count << 2) + PREFIX_BYTES", "length >= (count << 2) + PREFIX_BYTES"),
        ("hdl.miner.execution", "Fault.STORE: self._p.depth * self._p.row_bytes", "Fault.STORE: self._p.depth"),
        ("hdl.miner.execution", "Cat(Const(0, 8), count, self._results)", "Cat(Const(0, 8), count, prefix[16:])"),
        ("hdl.miner.execution", "m.If(self._is[kind] & ~self._refused)", "m.If(self._is[kind])"),
        ("hdl.miner.accesses", "self._cursor.eq(self._prefix[:16]), ", ""),
        ("hdl.miner.accesses", 'self._at(m, "RESET WAIT"), m.If(self._quiet)', 'self._at(m, "RESET WAIT"), m.If(1)'),
        ("hdl.miner.loads", "begins.eq(offset == 0)", "begins.eq(offset[:8] == 0)"),
        ("hdl.miner.loads", "begun & ~(self.flush & self.flushed)", "0"),
        ("hdl.miner.queries", "faults[Fault.EMPTY].eq(self._rows == 0)", "faults[Fault.EMPTY].eq(0)"),
    ],
    ("miner", "search"): [
        ("hdl.cores.miner", "executor.of_grid & ~executor.loading", "executor.of_grid"),
        ("hdl.cores.miner", "packer.restart.eq(executor.restart)", "packer.restart.eq(0)"),
        ("hdl.cores.miner", "packer.words.payload.last | executor.flush", "packer.words.payload.last"),
        ("hdl.cores.miner", "packer.words.valid & ~executor.loading", "packer.words.valid"),
        ("hdl.cores.miner", "replies.word.eq(registers.word)", "replies.word.eq(registers.word[1:])"),
    ],
    ("credit", "order"): [
        ("hdl.parts.credit", "credits != 0", "1"),
        ("hdl.parts.credit", "self.take & ~given", "self.take"),
    ],
}

#: Proofs that see faults from any state that keeps to the invariants: from reset on it takes too many cycles to them.
DEEP = {("executor", "requests")}


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
    ("core", "name", "fault"), [(*key, fault) for key, faults in FAULTS.items() for fault in faults], ids=str
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
    assert set(FAULTS) == {(proof.core, proof.name) for proofs in PROOFS.values() for proof in proofs}


def test_the_page_is_that_of_the_catalogue() -> None:
    assert (Path(__file__).parents[2] / "docs" / "proofs.md").read_text() == page(), "ninefold prove all --page"


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
    result = CliRunner().invoke(cli, ["prove", "framing", "--task", "round_trip"])
    assert result.exit_code == 1
    assert "FAILED" in result.output
    assert "framing.py" in result.output
    assert (tmp_path / "framing-round_trip.vcd").stat().st_size > 1000


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
