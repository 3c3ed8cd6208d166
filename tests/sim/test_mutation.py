"""Mutants of the cores: drawn once, judged by testbenches alone, and proved equivalent where no test can see them."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ninefold.host.cli import cli
from ninefold.sim.mutation import Campaign, Status, equivalence, results, sample, subject_of, subjects
from ninefold.sim.mutation.cutpoints import cutpoints_of
from ninefold.sim.mutation.equivalence import Relation
from ninefold.sim.mutation.miter import miter
from ninefold.sim.mutation.netlist import Netlist, Port, device, flat, lines_of, ports_of, run_yosys
from ninefold.sim.mutation.page import page
from ninefold.sim.mutation.sample import Mutant
from ninefold.spec.errors import InputError
from tests.sampling import turn

ROOT = Path(__file__).parents[2]
#: Cores of which each run judges one mutant in `EVERY`; the day decides which ones.
JUDGED = ("topk", "queue", "uart_transmitter")
EVERY = 8
QUEUE = subject_of("queue")


def netlist_of(core: str) -> Netlist:
    return flat(core, subject_of(core).parameters)


@pytest.fixture(scope="module")
def queue() -> Netlist:
    return netlist_of("queue")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let samples and results be kept elsewhere."""
    for module in (sample, results):
        monkeypatch.setattr(module, "folder_of", lambda _: tmp_path)
    return tmp_path


@pytest.mark.parametrize("core", subjects())
def test_sample_and_results_are_of_the_netlist(core: str) -> None:
    netlist = netlist_of(core)
    drawn = sample.read(core, netlist)
    found = results.kept(core)
    assert found.netlist == netlist.digest, f"ninefold mutate {core} --keep"
    judged = sorted([*found.killed, *found.equivalent, *(one.number for one in found.survivors)])
    assert judged == [mutant.number for mutant in drawn.mutants]
    assert len(found.killed) >= results.WANTED * (len(judged) - len(found.equivalent))


@pytest.mark.parametrize("core", JUDGED)
def test_some_mutants_are_what_they_were_found_to_be(core: str) -> None:
    netlist = netlist_of(core)
    drawn, found = sample.read(core, netlist), results.kept(core)
    numbers = range(1 + turn(EVERY), len(drawn.mutants) + 1, EVERY)
    verdicts = list(Campaign(subject_of(core), netlist, drawn).run(numbers))
    assert sorted(verdict.mutant.number for verdict in verdicts) == list(numbers)
    for verdict in verdicts:
        number = verdict.mutant.number
        assert (verdict.status is Status.KILLED) == (number in found.killed), str(verdict)
        assert (verdict.status is Status.EQUIVALENT) == (number in found.equivalent), str(verdict)
        assert re.match(r"(hdl|amaranth)/\w+/\w+\.py:\d+$", verdict.place), str(verdict)


def test_the_page_is_that_of_the_results() -> None:
    assert (ROOT / "docs" / "mutation.md").read_text() == page(), "ninefold mutate all --page"


def test_a_draw_repeats_itself(queue: Netlist) -> None:
    first, again, other = (sample.draw(queue, seed, 20) for seed in (3, 3, 4))
    assert first == again
    assert first.mutants != other.mutants
    assert len(first.mutants) == 20
    assert not [mutant for mutant in first.mutants if "CLK" in mutant.options]


def test_the_digest_of_a_netlist_does_not_hang_on_lines(queue: Netlist) -> None:
    assert re.search(r'src "hdl/cores/queue\.py:\d+', queue.text)
    assert str(ROOT) not in queue.text
    assert flat("queue", {"width": 3, "depth": 4}).digest != queue.digest
    moved = re.sub(r"queue\.py:(\d+)", r"queue.py:9\1", queue.text)
    places = lines_of(Netlist(moved, queue.digest))
    assert {place for place in places.values() if place.startswith("hdl/cores/queue.py:9")}


def test_a_sample_of_another_netlist_is_refused(queue: Netlist, kept: Path) -> None:
    with pytest.raises(InputError, match="there is no sample of mutants of queue; draw one with `ninefold"):
        sample.read("queue", queue)
    path = sample.write("queue", sample.draw(queue, 1, 5))
    assert len(sample.read("queue", queue).mutants) == 5
    path.write_text(path.read_text().replace(queue.digest, "0" * 64))
    with pytest.raises(InputError, match=r"drawn from the netlist 0{12}, and queue is now \w{12}; draw one with"):
        sample.read("queue", queue)


#: A testbench of the queue that looks at the first word only, and lets any number of others go unseen.
WEAK = """
import cocotb

from ninefold.sim.testbench.streams import Testbench


@cocotb.test()
async def first_word(dut):
    testbench = Testbench(dut)
    source, sink = testbench.source("input", lambda _: None), testbench.sink("output", hex)
    await testbench.reset()
    source.send([1])
    sink.expected.append(1)
    await testbench.finish()
"""


def test_a_weak_bench_lets_mutants_survive(queue: Netlist, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weak_bench.py").write_text(WEAK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    drawn = sample.read("queue", queue)
    weak = Campaign(QUEUE, queue, drawn, testbench="weak_bench")
    numbers = range(1, 15)
    verdicts = {verdict.mutant.number: verdict for verdict in weak.run(numbers, at_once=2)}
    assert weak.simulated(numbers) == weak.simulated() == len(numbers)
    survivors = [verdict for verdict in verdicts.values() if verdict.status is Status.SURVIVED]
    assert len(survivors) > 3, "the weak testbench kills too much to be one"
    assert {one.mutant.number for one in survivors} <= {*results.kept("queue").killed}
    assert results.reached(verdicts.values()) < results.WANTED
    for one in survivors:
        assert re.search(r"(hdl|amaranth)/\w+/\w+\.py:\d+: survived, differs in cycle \d+", str(one))


def test_a_bench_that_fails_on_the_core_itself_is_named(
    queue: Netlist, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wrong_bench.py").write_text(WEAK.replace("append(1)", "append(2)"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    campaign = Campaign(QUEUE, queue, sample.read("queue", queue), testbench="wrong_bench")
    with pytest.raises(InputError, match=r"testbench of queue fails on the core itself, in first_word: output, word 0"):
        next(campaign.run([1]))


TWO_WAYS = """module device(clk, rst, a__payload, a__valid, a__ready, b__payload, b__valid, b__ready);
  input clk; input rst;
  input [1:0] a__payload; input a__valid; output a__ready;
  output [1:0] b__payload; output b__valid; input b__ready;
endmodule
"""


def test_the_miter_follows_the_rules_of_streams() -> None:
    ports = ports_of(TWO_WAYS.replace("; ", ";\n  "))
    assert [(port.name, port.is_input, port.bits) for port in ports][2:4] == [
        ("a__payload", True, 2),
        ("a__valid", True, 1),
    ]
    text = miter(ports, ["(a__payload != 3)"])
    assert "(a__valid & (gold_a__ready != gate_a__ready))" in text
    assert "(gold_b__valid & (gold_b__payload != gate_b__payload))" in text
    assert (
        "wire legal = (begun | rst) & (a__payload != 3) & (~a_waits | (a__valid & (a__payload == a_before)));" in text
    )


@pytest.mark.parametrize("status", [Status.KILLED, Status.EQUIVALENT])
def test_proofs_agree_with_the_bench(queue: Netlist, status: Status) -> None:
    drawn, found = sample.read("queue", queue), results.kept("queue")
    ports = [p for p in ports_of(device(queue, [m.options for m in drawn.mutants])) if p.name != "mutant"]
    numbers = (found.killed if status is Status.KILLED else found.equivalent)[:3]
    assert numbers
    for number in numbers:
        shown = equivalence.compare(queue, ports, drawn.mutants[number - 1], QUEUE.assumptions.legal)
        assert (shown.relation is Relation.DIFFERENT) == (status is Status.KILLED)


def test_assumptions_hide_what_no_legal_input_shows(queue: Netlist) -> None:
    drawn, found = sample.read("queue", queue), results.kept("queue")
    ports = [p for p in ports_of(device(queue, [m.options for m in drawn.mutants])) if p.name != "mutant"]
    mutant = drawn.mutants[found.killed[0] - 1]
    never = equivalence.compare(queue, ports, mutant, ["~input__valid"])
    assert never.relation in {Relation.EQUAL, Relation.DIFFERENT}
    nothing = equivalence.compare(queue, ports, mutant, ["1'b0"])
    assert nothing.relation is Relation.EQUAL


def test_cuts_begin_with_everything_and_end_with_memories() -> None:
    sender = netlist_of("frame_sender")
    cell = next(name for name in lines_of(sender) if name.startswith("$flatten\\encoder.\\held.$"))
    cuts = cutpoints_of(sender, cell)
    assert len(cuts) == 4, "all registers, those outside of the queue, those outside of the encoder, none"
    assert [len(cut.pins) for cut in cuts] == sorted((len(cut.pins) for cut in cuts), reverse=True)
    memories = {pin.name.partition("__")[0] for pin in cuts[-1].pins}
    assert len(memories) == 2
    assert {pin.name.partition("__")[2] for pin in cuts[-1].pins if pin.is_input} == {"RD_DATA"}
    assert {pin.name.partition("__")[2] for pin in cuts[0].pins if pin.is_input} == {"RD_DATA", "Q"}
    text = miter([Port("clk", True, 1), Port("rst", True, 1), Port("seen", False, 1)], [], cuts[-1].pins)
    for memory in memories:
        assert f"((|gold_{memory}__RD_EN) & (gold_{memory}__RD_ADDR != gate_{memory}__RD_ADDR))" in text
        assert f"(|((gold_{memory}__WR_DATA ^ gate_{memory}__WR_DATA) & gold_{memory}__WR_EN))" in text
    assert "assign bad = legal & ~broken & (~rst & seen | stored);" in text


#: A queue in whose memory a fault takes more cycles to show than large cores are searched for.
DEEP = {"width": 2, "depth": 16}


@pytest.mark.parametrize(("port", "bit"), [("WR_ADDR", 3), ("RD_ADDR", 3)])
def test_what_goes_into_a_memory_counts(port: str, bit: int) -> None:
    queue = flat("queue", DEEP)
    mutant = Mutant(1, f"const0 -cell memory -port {port} -portbit {bit}")
    ports = [p for p in ports_of(device(queue, [mutant.options])) if p.name != "mutant"]
    assert equivalence.compare(queue, ports, mutant, []).relation is Relation.DIFFERENT
    shown = equivalence.compare(queue, ports, mutant, [], large=True)
    assert (shown.relation, shown.cycles) == (Relation.BOUNDED, 8)


def test_proofs_in_parts_agree_with_the_bench(queue: Netlist) -> None:
    drawn, found = sample.read("queue", queue), results.kept("queue")
    ports = [p for p in ports_of(device(queue, [m.options for m in drawn.mutants])) if p.name != "mutant"]
    for number in (*found.equivalent, *found.killed[::20]):
        shown = equivalence.compare(queue, ports, drawn.mutants[number - 1], [], large=True)
        assert (shown.relation is Relation.EQUAL) == (number in found.equivalent)


#: What is written in a cycle of reset, when no output counts, is seen long after.
MARKED_IN_RESET = """module top(input clk, input rst, input mark, input place, output seen);
  reg [1:0] kept [0:1];
  reg [1:0] read;
  reg [3:0] waited;
  always @(posedge clk) begin
    if (rst & mark) kept[place] <= 3;
    read <= kept[place];
    waited <= rst ? 4'd0 : waited + (waited != 12);
  end
  assign seen = (waited == 12) & read[0];
endmodule
"""


def test_a_memory_is_written_in_reset_too(tmp_path: Path) -> None:
    run_yosys(tmp_path, "read_verilog top.v; prep -rdff -top top; write_rtlil flat.il", **{"top.v": MARKED_IN_RESET})
    netlist = Netlist((tmp_path / "flat.il").read_text(), "")
    ports = [Port(name, True, 1) for name in ("clk", "rst", "mark", "place")] + [Port("seen", False, 1)]
    mutant = Mutant(1, "const0 -cell kept -port WR_EN -portbit 0")
    assert equivalence.compare(netlist, ports, mutant, []).relation is Relation.DIFFERENT
    shown = equivalence.compare(netlist, ports, mutant, [], large=True)
    assert (shown.relation, shown.cycles) == (Relation.BOUNDED, 8)


def test_command_prints_verdicts(kept: Path) -> None:
    for suffix in ("txt", "json"):
        shutil.copy(ROOT / "sim" / "cores" / "queue" / f"mutants.{suffix}", kept)
    number = results.kept("queue").killed[0]
    result = CliRunner().invoke(cli, ["mutate", "queue", "--mutant", str(number), "--json", "--at-once", "1"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["core"], found["mutant"], found["status"]) == ("queue", number, "killed")
    result = CliRunner().invoke(cli, ["mutate", "queue", "--mutant", str(number)])
    assert "1 mutant: 1 killed, 0 equivalent, 0 bounded, 0 survived; 100.0% of those not equivalent" in result.stdout


def test_command_draws_a_sample(kept: Path) -> None:
    result = CliRunner().invoke(cli, ["mutate", "queue", "--draw", "--seed", "5", "--mutant", "9999"])
    assert "mutant must be from 1 to 200, not 9999" in result.output
    text = (kept / "mutants.txt").read_text()
    assert "# seed 5" in text
    assert text.count("-cell") == 200
    result = CliRunner().invoke(cli, ["mutate", "queue", "--draw", "--size", "7", "--mutant", "9999"])
    assert "mutant must be from 1 to 7, not 9999" in result.output
    assert (kept / "mutants.txt").read_text().count("-cell") == 7


def test_command_refuses_a_mutant_that_there_is_not() -> None:
    result = CliRunner().invoke(cli, ["mutate", "queue", "--mutant", "9999"])
    assert result.exit_code == 2
    assert "mutant must be from 1 to" in result.output


def test_an_unknown_core_is_refused() -> None:
    with pytest.raises(InputError, match=r"core must be one of cobs_decoder, .*, not 'x'"):
        subject_of("x")
