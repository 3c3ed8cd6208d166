"""All levels agree, and a fault that is planted in a netlist is found and located."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.hdl.catalogue import find_core, make_core, own_names
from ninefold.sim.commands.compare import _LEVELS
from ninefold.sim.commands.compare import compare as command
from ninefold.sim.levels import LEVELS, Place, Result, Setup, compare, netlist
from ninefold.sim.levels.case import numbers, records
from ninefold.sim.levels.cases import SMALLEST_MINER, case_of
from ninefold.sim.levels.ports import StreamsOnly
from ninefold.sim.levels.waveform import Differing, differing, registers
from ninefold.sim.verilated import Field, Stream
from ninefold.spec.errors import InputError, UnsupportedError
from tests.hdl.test_spram import StoreTestbench, words
from tests.sim.test_waveforms import read

TOPK = {"k": 2, "score_width": 4, "id_width": 3}
#: Quick levels, which need no netlist.
QUICK = ("golden", "cpu", "rtl")
#: Each operation of any sequence once.
STEPS = 16
#: For a miner, whose netlist is slow.
FEW = 4


def results(name: str, levels: Sequence[str], folder: Path, steps: int = 0, **given: Any) -> dict[str, Result]:
    parameters = TOPK if name == "topk" else {}
    setup = Setup(folder, name.replace("/", "-"), **given)
    return {found.level: found for found in compare(case_of(name, parameters, 10, 3, steps), setup, levels)}


def test_every_core_has_small_parameters_and_a_case() -> None:
    assert LEVELS == _LEVELS
    for name in own_names():
        make_core(name, **find_core(name).core.compared)
        case = case_of(name, {}, 4, 1)
        golden = case.read(case.expected())
        assert golden
        assert case.read(case_of(name, {}, 4, 1).expected()) == golden, "the seed repeats the vectors"
        assert case.read(case_of(name, {}, 4, 2).expected()) != golden


@pytest.mark.parametrize("name", [*own_names(), SMALLEST_MINER])
def test_the_processor_agrees_or_has_a_reason(name: str, tmp_path: Path) -> None:
    for seed in range(5):
        case = case_of(name, {}, 20, seed, 4)
        (golden, cpu) = compare(case, Setup(tmp_path, name), ("cpu", "golden"))
        assert (golden.level, golden.status) == ("golden", "agrees")
        if cpu.status == "not run":
            assert len(cpu.detail) > 20
        else:
            assert (cpu.status, cpu.divergence) == ("agrees", None)
            assert cpu.elements >= 20


@pytest.mark.parametrize("name", [SMALLEST_MINER, *(name for name in own_names() if name != "miner")])
def test_all_levels_agree(name: str, tmp_path: Path) -> None:
    configuration = name == SMALLEST_MINER
    found = results(
        name,
        LEVELS,
        tmp_path,
        FEW if configuration else STEPS,
        board=f"sim://{SMALLEST_MINER}" if configuration else "",
    )
    assert list(found) == list(LEVELS)
    not_run = {level: result.detail for level, result in found.items() if result.status == "not run"}
    assert {result.status for level, result in found.items() if level not in not_run} == {"agrees"}
    # The processor lacks an operator for most cores, and Yosys a model of one memory of this family.
    assert set(not_run) <= {"cpu", "ecp5"} | (set() if configuration else {"board"})
    assert "ecp5" not in not_run or "DP16KD" in not_run["ecp5"]
    assert configuration or not_run["board"] == "no board is named"
    assert len({found[level].elements for level in ("golden", "rtl", "ice40")}) == 1
    assert not list(tmp_path.iterdir())


def flip_flop(text: str, signal: str) -> tuple[str, str]:
    """Return a flip-flop of an iCE40 netlist by the signal it drives, and its input."""
    found = re.search(rf"  SB_DFF\w* \S+ \(\n[^;]*?\.D\(([^\n]*)\),\n[^;]*?\.Q\(\\{re.escape(signal)}\)[^;]*;", text)
    assert found is not None, f"no flip-flop drives {signal}"
    return found[0], found[1]


def inverted_lut(text: str) -> str:
    """Return the netlist with the LUT inverted that decides whether an entry beats the one that cell 1 keeps."""
    _, wire = flip_flop(text, "cell_1.beats_kept ")
    found = re.search(rf"LUT_INIT\(16'h(\w{{4}})\)\n  \) \S+ \(\n[^;]*\.O\({re.escape(wire)}\)", text)
    assert found is not None, f"no LUT drives {wire}"
    return text.replace(found[0], found[0].replace(found[1], f"{int(found[1], 16) ^ 0xFFFF:04x}"))


def cut_wire(text: str) -> str:
    """Return the netlist with a bit of what cell 1 keeps always 0."""
    cell, wire = flip_flop(text, "cell_1.kept [3]")
    return text.replace(cell, cell.replace(f".D({wire})", ".D(1'h0)"))


@pytest.mark.parametrize(("fault", "signal"), [(inverted_lut, "cell_1.beats_kept"), (cut_wire, "cell_1.kept")])
def test_a_fault_in_a_netlist_is_found_and_located(fault: Callable[[str], str], signal: str, tmp_path: Path) -> None:
    def plant(_: str, text: str) -> str:
        planted = fault(text)
        assert planted != text
        return planted

    found = results("topk", ("ice40",), tmp_path, transform=plant)["ice40"]
    divergence = found.divergence
    assert found.status == "differs"
    assert divergence is not None
    assert divergence.place.operator == "topk"
    assert divergence.expected != divergence.found
    assert divergence.cycle is not None
    assert [path.name for path in divergence.waveforms] == ["topk-ice40.fst", "topk-ice40-rtl.fst"]
    for path in divergence.waveforms:
        assert {f"top.results__payload.{field}" for field in ("score", "id", "last")} <= set(read(path)[0])
    assert divergence.signals is not None
    assert divergence.signals.cycle < divergence.cycle
    assert any(name.startswith(signal) for name in divergence.signals.signals), divergence.signals


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        # By the count of beats so far: none after the 5th, or one more than is due.
        ("{inner_valid && count < 5, inner_valid && count < 5}", None),
        ("{inner_valid || count == DUE, inner_valid}", "one more"),
    ],
)
def test_beats_too_few_and_too_many(ends: str, expected: str | None, tmp_path: Path) -> None:
    case = case_of("topk", TOPK, 10, 3)
    due = str(len(case.expected()["results"]))
    found = results("topk", ("rtl",), tmp_path, transform=lambda _, text: wrapped(text, ends.replace("DUE", due)))[
        "rtl"
    ]
    assert found.status == "differs"
    divergence = found.divergence
    assert divergence is not None
    assert divergence.cycle is not None
    assert len(divergence.waveforms) == 1
    assert divergence.signals is None
    assert divergence.found == expected


def wrapped(text: str, shown: str) -> str:
    """Return the top-k miner with results shown, or taken from the core, by an expression {shown, moves}."""
    ports = "clk, rst, scores__payload, scores__valid, scores__ready, results__payload, results__valid, results__ready"
    return (
        text.replace("module top(", "module device(")
        + f"""
module top({ports});
  input clk, rst, scores__valid, results__ready;
  input [7:0] scores__payload;
  output scores__ready, results__valid;
  output [7:0] results__payload;
  wire inner_valid, moves;
  reg [7:0] count = 0;
  assign {{results__valid, moves}} = {shown};
  always @(posedge clk) if (rst) count <= 0; else if (results__valid && results__ready) count <= count + 1;
  device inner(.clk(clk), .rst(rst), .scores__payload(scores__payload), .scores__valid(scores__valid),
    .scores__ready(scores__ready), .results__payload(results__payload), .results__valid(inner_valid),
    .results__ready(results__ready && moves));
endmodule
"""
    )


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"level must be one of golden, cpu, rtl, ice40, ecp5, board, not 'gowin'"):
        list(compare(case_of("queue", {}, 1, 0), Setup(tmp_path, "queue"), ("gowin",)))
    with pytest.raises(InputError, match=r"vectors must be 1 or more, not 0"):
        case_of("topk", {}, 0, 0)
    with pytest.raises(InputError, match=r"steps must be 0 or more, not -1"):
        case_of("topk", {}, 1, 0, -1)
    with pytest.raises(InputError, match=r"core must be one of cobs_decoder, .* not 'nothing'"):
        case_of("nothing", {}, 1, 0)
    with pytest.raises(InputError, match=r"virtual/tiny does not take k: a configuration has no parameters"):
        case_of("virtual/tiny", {"k": 1}, 1, 0)
    for name in ("topk", "queue", "miner", "cobs_encoder", "frame_receiver", "uart_receiver"):
        with pytest.raises(InputError, match=rf"{name} does not take nothing"):
            case_of(name, {"nothing": 1}, 1, 0)
    with pytest.raises(InputError, match=r"group must be 254 to be compared with the link's frames, not 9"):
        case_of("cobs_decoder", {"group": 9}, 1, 0)


def test_scores_that_the_processor_cannot_take_are_a_reason(tmp_path: Path) -> None:
    (cpu,) = compare(case_of("topk", {"score_width": 40}, 5, 0), Setup(tmp_path, "topk"), ("cpu",))
    assert (cpu.status, cpu.detail) == ("not run", "the operator topk takes signed scores of 32 bits, not 40")


def test_a_level_that_answers_nothing_differs(tmp_path: Path) -> None:
    case = replace(case_of("topk", TOPK, 5, 0), processor=dict)
    (cpu,) = compare(case, Setup(tmp_path, "topk"), ("cpu",))
    assert cpu.status == "differs"
    assert cpu.divergence is not None
    assert (cpu.divergence.place, cpu.divergence.found) == (Place("topk", "batch 0", 0), None)


def test_replies_that_are_damaged_or_cut_short() -> None:
    case = case_of("miner", {}, 4, 0)
    sent = case.expected()["tx"]
    golden = case.read({"tx": sent})
    assert case.vectors == len({place.vector for place in golden if place.operator == "mine"}) == 4
    spoiled = sent.copy()
    spoiled[-3] ^= 0x40
    found = case.read({"tx": spoiled})
    (place,) = [place for place in golden if place in found and found[place] != golden[place]]
    assert place.operator == "link"
    assert str(found[place]["frame"]).startswith("damaged: ")
    assert {place.vector for place in set(golden) - set(found)} == {"query 3"}
    found = case.read({"tx": sent[:-1]})
    assert all(found[place] == golden[place] for place in found)
    assert len(set(golden) - set(found)) == 1 + sum(place.vector == "query 3" for place in golden)


def test_records_undo_numbers() -> None:
    stream = Stream("s", True, (Field("a", 70, False, 0), Field("b", 5, True, 70)))
    rows = [{"a": 2**70 - 1, "b": -16}, {"a": 0, "b": 15}, {"a": 2**69 + 1, "b": -1}]
    beats = numbers(stream, [rows[:1], rows[1:]])
    assert beats.shape == (3, 12)
    assert beats.dtype == np.uint8
    assert records(stream, beats) == rows


WAVES = """$timescale 1ns $end
 $scope module top $end
  $var wire 1 # clk $end
  $var wire 4 {code} {name} [3:0] $end
 $upscope $end
$enddefinitions $end
#30
0#
b0001 {code}
#35
1#
b0011 {code}
#40
0#
#45
1#
b{last} {code}
"""


def test_waveforms_are_compared_register_by_register(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    paths[0].write_text(WAVES.format(code="!", name="part.word", last="0111"))
    paths[1].write_text(WAVES.format(code="%", name="\\part.word", last="0101"))
    paths[2].write_text(WAVES.format(code="!", name="other", last="0000"))
    bits = [("part.word", bit) for bit in range(4)]
    assert differing(paths[0], paths[1], bits) == Differing(4, ("part.word[1]",))
    assert differing(paths[0], paths[1], bits[2:]) is None
    assert differing(paths[0], paths[0], bits) is None
    assert differing(paths[0], paths[2], bits) is None


def test_registers_of_a_netlist() -> None:
    text = (
        "  SB_DFF _1_ (\n.C(clk),\n.D(_2_),\n.Q(\\a.b [3])\n);\nTRELLIS_FF x (.Q(plain)); y (.Q(word[2])); z (.Q(_7_));"
    )
    assert registers(text) == [("a.b", 3), ("plain", 0), ("word", 2)]


def test_large_memories_are_single_port_ram_on_ice40() -> None:
    made = netlist(StoreTestbench(registered=True), "ice40")
    assert "SB_SPRAM256KA" in made.verilog.partition("endmodule")[0]
    words(made)


def test_cells_without_a_model_are_a_reason() -> None:
    with pytest.raises(UnsupportedError, match=r"the netlist has \d+ DP16KD, for which Yosys has no simulation model"):
        netlist(StreamsOnly(make_core("queue", width=8, depth=4096)), "ecp5")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["topk", "--k", "2", "--score-width", "4", "--id-width", "3", "--seed", "3", "--vectors", "10"]
    said = CliRunner().invoke(command, [*words, *(w for level in QUICK for w in ("--level", level))])
    assert said.exit_code == 0, said.output
    assert said.output.startswith("seed 3\n")
    assert [line.split()[:3] for line in said.output.splitlines()[1:]] == [["topk", level, "agrees"] for level in QUICK]
    words = ["frame_receiver", "--seed", "3", "--vectors", "10"]
    said = CliRunner().invoke(command, [*words, "--level", "board", "--level", "cpu", "--json"])
    assert said.exit_code == 3, said.output  # a level that was named did not run
    levels = [json.loads(line) for line in said.output.splitlines()]
    assert [(one["level"], one["status"], one["divergence"], one["seed"]) for one in levels] == [
        ("cpu", "not run", None, 3),
        ("board", "not run", None, 3),
    ]


def test_the_command_tells_of_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Place("topk", "batch 0", 0)
    case = case_of("topk", TOPK, 10, 3)
    values = dict(case.read(case.expected()))
    values[first] = {**values[first], "score": 99}
    monkeypatch.setattr("ninefold.sim.levels.cases.case_of", lambda *_: replace(case, processor=lambda: values))
    said = CliRunner().invoke(command, ["topk", "--seed", "3", "--level", "cpu"])
    assert said.exit_code == 1
    assert re.search(r"topk, batch 0, element 0: score is 99 where -?\d+ is right", said.output)
