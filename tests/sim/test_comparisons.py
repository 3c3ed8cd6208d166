"""Faults at comparisons: the judge that is kept of each fails on it, or a reason is written why none can."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ninefold import hdl
from ninefold.hdl.catalogue import make_core
from ninefold.hdl.elaborate import rtlil
from ninefold.host.cli import cli
from ninefold.sim.formal import Method
from ninefold.sim.formal.catalogue import proofs
from ninefold.sim.formal.prover import solve
from ninefold.sim.formal.variants import failing, select_input
from ninefold.sim.mutation import comparisons, judges, verdicts
from ninefold.sim.mutation.comparisons import Comparison, Fault, Planted, faults_of, planted, selectable, watched
from ninefold.sim.mutation.judges import JUDGES, ProofJudge
from ninefold.sim.mutation.reasons import REASONS
from ninefold.sim.mutation.subjects import subjects
from ninefold.sim.mutation.verdicts import Judged, kept
from tests.sampling import turn

#: Of the faults that a proof sees, each run judges one in `EVERY` again; the day decides which ones.
EVERY = 50
SEEN = sorted(fault for fault, judge in kept().verdicts.items() if judge and not judge.startswith("testbench"))
QUEUE = {"width": 2, "depth": 4}
EMPTY = Comparison("hdl/cores/queue.py", "Queue.elaborate", "given != taken")


def test_every_comparison_has_a_verdict_on_the_present_cores() -> None:
    there = {fault for judge in JUDGES.values() for fault in judge.faults}
    found = kept()
    assert set(found.verdicts) == there, "ninefold mutate all --comparisons --keep"
    changed = [name for name, digest in found.judges.items() if JUDGES[name].digest != digest]
    assert changed == [], "ninefold mutate all --comparisons --keep"
    assert set(found.judges) == {judge for judge in found.verdicts.values() if judge}


def test_a_fault_that_no_judge_sees_has_a_reason() -> None:
    assert {fault for fault, judge in kept().verdicts.items() if judge is None} == set(REASONS)


@pytest.mark.parametrize("place", range(-(-len(SEEN) // EVERY)))
def test_the_judge_of_a_fault_fails(place: int) -> None:
    number = place * EVERY + turn(EVERY)
    if number < len(SEEN):
        fault, name = SEEN[number], kept().verdicts[SEEN[number]]
        judge = JUDGES[str(name)]
        assert isinstance(judge, ProofJudge)
        assert judge.alone(fault) is not None, f"{name} passes with {fault}"


@pytest.mark.parametrize(("method", "depth"), [(Method.INDUCTION, 3), (Method.BOUNDED, 9)])
def test_faults_in_one_design_are_judged_as_by_symbiyosys(method: Method, depth: int) -> None:
    (proof,) = proofs()["credit"]
    faults = sorted(JUDGES["proof credit order"].faults)
    select = select_input()
    with selectable({fault: number for number, fault in enumerate(faults, 1)}, select):
        text = proof.rtlil(inputs=[select])
    alone = set()
    for number, fault in enumerate(faults, 1):
        with planted(fault):
            alone |= set() if solve(proof.rtlil(), method, depth).passed else {number}
    assert failing(text, range(len(faults) + 1), method, depth) == alone
    assert 0 < len(alone) < len(faults), "nothing is told apart"


def test_comparisons_of_signals_are_found() -> None:
    with watched() as found:
        rtlil(make_core("queue", **QUEUE))
    texts = {comparison.text for comparison in found.comparisons}
    assert texts == {"given != taken", "(given + 1 ^ taken)[:len(given)] == self._depth"}
    assert {Comparison.read(str(comparison)) for comparison in found.comparisons} == found.comparisons


def test_no_package_with_comparisons_of_signals_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(str(hdl.__file__)).parent
    # Commands elaborate cores and hold none.
    sources = [path for path in sorted(folder.rglob("*.py")) if "amaranth" in path.read_text()]
    sources = [path for path in sources if path.parent.name != "commands"]
    modules = [".".join((hdl.__name__, *path.relative_to(folder).with_suffix("").parts)) for path in sources]
    monkeypatch.setattr(comparisons, "_modules", lambda: modules)
    with watched() as found:
        for subject in subjects().values():
            rtlil(make_core(subject.core, **subject.parameters))
    assert "hdl/miner/queries.py" in {comparison.path for comparison in found.comparisons}
    assert found.comparisons <= {fault.comparison for judge in JUDGES.values() for fault in judge.faults}


def test_comparisons_of_parameters_and_those_by_a_borrow() -> None:
    found = {fault.comparison.text for judge in JUDGES.values() for fault in judge.faults}
    assert "len(groups) == 1" not in found
    assert "(Cat(kept.score, kept_valid) - incoming)[-1]" in found
    assert {"held != 2", "held != 2 #2"} <= found


def test_faults_change_the_core_while_they_are_planted() -> None:
    sound = rtlil(make_core("queue", **QUEUE))
    texts = {sound}
    for fault in Fault:
        with planted(Planted(EMPTY, fault)) as found:
            texts.add(rtlil(make_core("queue", **QUEUE)))
        assert found.comparisons == {EMPTY}
    assert len(texts) == 1 + len(Fault)
    assert rtlil(make_core("queue", **QUEUE)) == sound
    with planted(Planted(EMPTY, Fault.NEVER)) as found:
        rtlil(make_core("uart_transmitter", divisor=4))
    assert found.comparisons == set()


def test_what_is_0_has_no_fault_below() -> None:
    at = ("hdl/x.py", "X.elaborate")
    assert faults_of(Comparison(*at, "left != 0 #2")) == (Fault.MORE, Fault.ALWAYS, Fault.NEVER)
    assert faults_of(Comparison(*at, "grid < 0")) == tuple(Fault)
    assert faults_of(Comparison(*at, "left == 10")) == tuple(Fault)


def test_verdicts_name_the_first_judge_that_fails() -> None:
    fault = Planted(Comparison("hdl/parts/credit.py", "CreditQueue.elaborate", "credits != 0"), Fault.MORE)
    first = next(name for name, judge in JUDGES.items() if fault in judge.faults)
    (judged,) = verdicts.run([fault])
    assert (judged.planted, judged.judge) == (fault, first)
    assert str(judged) == f"{fault}: {first} fails: {judged.said}"


def test_proofs_of_large_cores_come_after_testbenches_and_before_bounded_proofs() -> None:
    names = [judge.name for judge in sorted(JUDGES.values(), key=verdicts._turn)]
    order = ["proof replies building", "testbench miner", "proof executor requests", "proof topk selection"]
    assert sorted(order, key=names.index) == order


def test_a_large_core_is_proved_with_one_fault_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = JUDGES["proof credit order"]
    together = judge.fails(judge.faults)
    monkeypatch.setattr(judges, "TOGETHER", len(judge.faults) - 1)
    alone = judge.fails(judge.faults)
    assert alone.keys() == together.keys()
    assert set(together.values()) == {"an assertion"}
    assert not set(alone.values()) & {"an assertion"}, "which one is known of a fault alone"


def test_verdicts_of_a_changed_judge_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = kept()
    # Several judges may see a fault, and the one that is kept differs between runs.
    changed = next(name for name in before.judges if name.startswith("proof"))
    file = tmp_path / "comparisons.json"
    file.write_text(verdicts._FILE.read_text().replace(before.judges[changed], "0" * 64))
    monkeypatch.setattr(verdicts, "_FILE", file)
    verdicts.keep([])
    others = {fault: judge for fault, judge in before.verdicts.items() if judge != changed}
    assert kept().verdicts == others
    assert len(others) < len(before.verdicts)


@pytest.mark.parametrize(("judge", "code"), [("proof queue order", 0), (None, 1)])
def test_command_prints_and_keeps_verdicts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, judge: str | None, code: int
) -> None:
    monkeypatch.setattr(verdicts, "_FILE", tmp_path / "comparisons.json")
    monkeypatch.setattr(verdicts, "run", lambda faults, _: (Judged(fault, judge, "word") for fault in sorted(faults)))
    result = CliRunner().invoke(cli, ["mutate", "queue", "--comparisons", "--keep", "--json"])
    assert result.exit_code == code, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(one["comparison"], one["judge"]) for one in lines} >= {(EMPTY.text, judge)}
    assert kept().verdicts[Planted(EMPTY, Fault.MORE)] == judge
    assert set(kept().judges) == {judge} - {None}
    result = CliRunner().invoke(cli, ["mutate", "queue", "--comparisons"])
    assert f"{len(lines)} faults at comparisons: {len(lines) if judge else 0} by a proof" in result.stdout
    assert ("given != taken: +1: nothing fails" in result.stdout) == (judge is None)


def test_command_takes_all_faults_at_comparisons() -> None:
    result = CliRunner().invoke(cli, ["mutate", "queue", "--comparisons", "--mutant", "1"])
    assert result.exit_code == 2
    assert "--comparisons takes all faults, so it goes with neither --mutant nor --draw" in result.output
