"""Sequences find faults that single calls do not see, and name the step that shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.hdl.catalogue import own_names
from ninefold.hdl.configurations import configuration
from ninefold.hdl.miner import MinerParameters
from ninefold.sim.commands.compare import compare as command
from ninefold.sim.cores import has_part, part_of
from ninefold.sim.faults import Edit
from ninefold.sim.golden.board import GoldenBoard
from ninefold.sim.golden.link import encoded
from ninefold.sim.levels import Case, Result, Setup, compare
from ninefold.sim.levels.cases import SMALLEST_MINER, case_of
from ninefold.sim.verilated import Design
from ninefold.spec.errors import UnavailableError
from ninefold.spec.link import Kind
from tests.sim.source_faults import SELECTED, planted

#: Returns the reply of a board to a request, spoilt, or None.
Spoil = Callable[[GoldenBoard, bytes, bytes], bytes | None]

STEPS = 16
SEED = 1
#: For each core the faults by name that its vectors must find.

FAULTS: Mapping[str, Mapping[str, Sequence[Edit]]] = {
    core: part_of(core, "faults").VECTOR_FAULTS
    for core in own_names()
    if has_part(core, "faults") and hasattr(part_of(core, "faults"), "VECTOR_FAULTS")
}
EACH = [(core, name) for core, faults in FAULTS.items() for name in faults]


@cache
def design(core: str) -> Design:
    """Return the design of a core with all its faults; a file says which of them is there."""
    return planted(FAULTS[core], case_of(core, {}, 1, 1).component)


@cache
def case(name: str, vectors: int) -> Case:
    """Return a case, drawn once."""
    return case_of(name, {}, vectors, SEED, STEPS)


def run(core: str, fault: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.chdir(folder)
    SELECTED.write_text(str(fault))
    made = design(core)
    monkeypatch.setattr(import_module("ninefold.sim.levels.compare"), "elaborate", lambda _: made)
    (found,) = compare(case(core, 4), Setup(folder, core, waveforms=False), ("rtl",))
    return found


@pytest.mark.parametrize("core", FAULTS)
def test_without_a_fault_they_agree(core: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(core, 0, tmp_path, monkeypatch)
    assert (found.status, found.divergence) == ("agrees", None)


@pytest.mark.parametrize(("core", "name"), EACH, ids=[f"{core}, {name}" for core, name in EACH])
def test_a_planted_fault_is_found(core: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(core, [*FAULTS[core]].index(name) + 1, tmp_path, monkeypatch)
    assert found.status == "differs"
    assert found.divergence is not None
    assert found.divergence.place.step > 0, "the plain vectors see it"
    assert found.divergence.operation != "vectors"


@pytest.mark.parametrize("name", [*own_names(), SMALLEST_MINER])
def test_a_short_sequence_begins_a_long_one(name: str) -> None:
    short, long = (case_of(name, {}, 2, SEED, steps) for steps in (5, 8))
    # The last operation of each also fills the core.
    assert short.operations[:-1] == long.operations[:5]
    begun = [step for step in short.steps if step.number < 5]
    assert len(begun) >= 5
    for ours, theirs in zip(begun, long.steps, strict=False):
        assert (ours.number, ours.gaps, ours.blocked, ours.reset) == (
            theirs.number,
            theirs.gaps,
            theirs.blocked,
            theirs.reset,
        )
        for mine, yours in ((ours.inputs, theirs.inputs), (ours.outputs, theirs.outputs)):
            assert mine.keys() == yours.keys()
            assert all(np.array_equal(mine[stream], yours[stream]) for stream in mine)


def test_a_sequence_has_every_operation_before_it_repeats_one() -> None:
    for name in ("quantiser", "similarity", "topk", "queue"):
        operations = [o.partition(",")[0] for o in case_of(name, {}, 1, SEED, 40).operations[1:]]
        kinds = len(set(operations))
        assert len(set(operations[:kinds])) == kinds
        assert set(operations[kinds : 2 * kinds]) == set(operations[:kinds])


class GoldenTransport:
    """A board by the golden model, with replies that a test may spoil."""

    def __init__(self, parameters: MinerParameters, spoil: Spoil) -> None:
        p = parameters
        limits = (p.request_limit, p.reply_limit)
        self._board = GoldenBoard(p.dimensions, p.lanes, p.depth, p.k, p.clock_hz, p.mode, p.window, *limits)
        self._spoil, self._held, self._replies = spoil, b"", b""

    def write(self, data: bytes, timeout_s: float) -> None:
        assert timeout_s > 0
        *frames, self._held = (self._held + data).split(b"\0")
        for frame in frames:
            for body in self._board.receive(frame + b"\0"):
                reply = self._spoil(self._board, body, self._board.reply(body))
                self._replies += b"" if reply is None else encoded(reply)

    def read(self, size: int, timeout_s: float) -> bytes:
        assert timeout_s > 0
        taken, self._replies = self._replies[:size], self._replies[size:]
        return taken

    def close(self) -> None:
        self._held = b""


def sound(_: GoldenBoard, __: bytes, reply: bytes) -> bytes:
    return reply


def silent(_: GoldenBoard, body: bytes, reply: bytes) -> bytes | None:
    return None if body[0] == Kind.QUERY and len(body) > 100 else reply


def keeps_epoch(board: GoldenBoard, body: bytes, reply: bytes) -> bytes:
    return reply[:3] + b"\7" + reply[4:] if body[0] == Kind.LOAD and board.rows is None else reply


def loses_events(_: GoldenBoard, body: bytes, reply: bytes) -> bytes:
    return reply[:4] + bytes(4) + reply[8:] if body[0] == Kind.STATISTICS else reply


@pytest.mark.parametrize(
    ("spoil", "value"), [(sound, None), (silent, "type"), (keeps_epoch, "epoch"), (loses_events, "queries")]
)
def test_a_board_is_given_the_sequence(
    spoil: Spoil,
    value: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    miner = configuration(SMALLEST_MINER).miner
    drawn = case(SMALLEST_MINER, 2)
    answers = drawn.processor
    drawn = replace(
        drawn,
        board=lambda _: answers() if callable(answers) else {},
        opens=lambda _: GoldenTransport(miner, sound),
    )
    levels = import_module("ninefold.sim.levels.compare")
    monkeypatch.setattr(levels, "open_transport", lambda _: GoldenTransport(miner, spoil))
    (board,) = compare(drawn, Setup(tmp_path, "miner", "golden://"), ("board",))
    assert board.divergence is None if value is None else board.divergence is not None
    if board.divergence is None:
        # All of the sequence, and the results of the plain queries.
        assert board.elements == sum(
            place.step > 0 or place.operator == "mine" for place in drawn.read(drawn.expected())
        )
    else:
        assert (board.divergence.value, board.divergence.place.operator) == (value, "link")
        assert board.divergence.place.step > 0


def test_the_command_names_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = case_of("topk", {}, 3, 7, 9)
    values = dict(drawn.read(drawn.expected()))
    place = next(place for place in values if place.step == 4)
    values[place] = {**values[place], "score": 99}
    monkeypatch.setattr("ninefold.sim.levels.cases.case_of", lambda *_: replace(drawn, processor=lambda: values))
    words = ["topk", "--seed", "7", "--steps", "9", "--level", "cpu"]
    said = CliRunner().invoke(command, words)
    assert said.exit_code == 1
    assert f"in step 4, {drawn.operations[4]}; --seed 7 --steps 4 repeats it" in said.output
    found = json.loads(CliRunner().invoke(command, [*words, "--json"]).output)["divergence"]
    assert (found["step"], found["operation"]) == (4, drawn.operations[4])


def test_of_all_cores_a_level_that_was_named_runs_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["all", "--steps", "1", "--vectors", "1", "--level", "golden"]
    assert CliRunner().invoke(command, [*words, "--level", "cpu"]).exit_code == 0
    monkeypatch.setattr(import_module("ninefold.sim.levels.compare"), "elaborate", missing)
    said = CliRunner().invoke(command, [*words, "--level", "rtl"])
    assert said.exit_code == 3
    assert "not run  Verilator is missing" in said.output


def missing(_: object) -> Design:
    raise UnavailableError("Verilator is missing", "install it")
