"""Waveforms read back with GTKWave's library: fields, signs, names of enumerations and states, and no temporaries."""

import random
import re
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pylibfst
import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.sim import waveforms
from ninefold.sim.verilated import Design, TracedModel, elaborate
from ninefold.sim.waveforms import check_format, convert, converting, declarations, only_shown, opening, save_files
from ninefold.spec.errors import InputError, ToolError, UnavailableError


class Operation(enum.Enum, shape=2):  # type: ignore[call-arg, misc]
    ADD = 0
    SUBTRACT = 1
    NEGATE = 3


REQUEST = data.StructLayout(
    {
        "operation": Operation,
        "value": signed(8),
        "pair": data.ArrayLayout(unsigned(4), 2),
        "lanes": data.ArrayLayout(unsigned(2), 17),
        "inner": data.StructLayout({"id": 5, "last": 1}),
    }
)


class Core(wiring.Component):  # type: ignore[misc]
    """Passes requests on; in every other cycle it is busy."""

    requests: In(stream.Signature(REQUEST))
    answers: Out(stream.Signature(REQUEST))

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        held = Signal(REQUEST)
        busy = Signal()
        m.d.comb += [
            self.answers.payload.eq(held),
            self.answers.valid.eq(busy),
            self.requests.ready.eq(~busy),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(self.requests.valid):
                m.d.sync += [held.eq(self.requests.payload), busy.eq(1)]
                m.next = "GIVES ANSWER"
            with m.State("GIVES ANSWER"), m.If(self.answers.ready):
                m.d.sync += busy.eq(0)
                m.next = "IDLE"
        return m


REQUESTS = [(0, -3, 0x21, 1, 7, 0), (3, 127, 0x43, 2, 31, 1), (2, -128, 0, 3, 0, 1)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    """The VCD of a run with `REQUESTS`, and the design."""
    path = tmp_path_factory.mktemp("waveforms") / "raw.vcd"
    design = elaborate(Core())
    model = TracedModel(design)
    model.record(path, 0, 100)
    columns = dict(zip(("operation", "value", "pair", "lanes", "inner"), np.array(packed()).T, strict=True))
    beats = model.streams["requests"].pack(len(REQUESTS), columns)
    model.exchange({"requests": beats}, {"answers": len(REQUESTS)}, 20)
    model.close()
    return path, design


def packed() -> list[tuple[int, ...]]:
    return [
        (operation, value, pair, lanes, last << 5 | identifier)
        for operation, value, pair, lanes, identifier, last in REQUESTS
    ]


def read(path: Path) -> tuple[Mapping[str, list[tuple[int, str]]], Mapping[str, int]]:
    """Return the changes of each signal of an FST by name, with their times, and the widths."""
    context = pylibfst.lib.fstReaderOpen(str(path).encode())
    assert context != pylibfst.ffi.NULL
    _, signals = pylibfst.get_scopes_signals2(context)
    changes: dict[int, list[tuple[int, str]]] = {}

    def change(_: Any, time: int, handle: int, value: Any, length: int | None = None) -> None:
        text = pylibfst.ffi.string(value) if length is None else pylibfst.ffi.buffer(value, length)[:]
        changes.setdefault(handle, []).append((time, text.decode()))

    pylibfst.lib.fstReaderSetFacProcessMaskAll(context)
    pylibfst.fstReaderIterBlocks2(context, change, change)
    pylibfst.lib.fstReaderClose(context)
    names = {re.sub(r" \[\d+:\d+\]$", "", name): signal for name, signal in signals.by_name.items()}
    return {name: changes.get(signal.handle, []) for name, signal in names.items()}, {
        name: signal.length for name, signal in names.items()
    }


def moved(changes: Mapping[str, list[tuple[int, str]]], stream: str, field: str) -> list[str]:
    """Return the values of a field in the cycles in which a beat moved."""

    def at(name: str, time: int) -> str:
        return [value for when, value in changes[name] if when <= time][-1]

    clock = [time for time, value in changes["top.clk"] if value == "1"]
    beats = [time - 1 for time in clock if time]
    handshakes = [f"top.{stream}__valid", f"top.{stream}__ready"]
    return [at(f"top.{stream}__payload.{field}", time) for time in beats if all(at(h, time) == "1" for h in handshakes)]


def test_fields_are_signals_and_enumerations_have_names(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    convert(raw, tmp_path / "run.fst", declarations(design.verilog))
    changes, widths = read(tmp_path / "run.fst")
    for name in ("requests", "answers"):
        assert moved(changes, name, "operation") == ["ADD", "NEGATE", "2"], "a value without a name is a number"
        values = [int(value, 2) for value in moved(changes, name, "value")]
        assert [value - 256 * (value > 127) for value in values] == [one[1] for one in REQUESTS]
        assert [int(value, 2) for value in moved(changes, name, "inner.id")] == [7, 31, 0]
        assert moved(changes, name, "inner.last") == ["0", "1", "1"]
        assert [int(value, 2) for value in moved(changes, name, "pair[1]")] == [2, 4, 0]
        assert [int(value, 2) for value in moved(changes, name, "lanes")] == [1, 2, 3]
    assert {value for _, value in changes["top.fsm_state"]} == {"IDLE", "GIVES ANSWER"}
    assert widths["top.requests__payload"] == REQUEST.size
    assert [name for name in changes if "$" in name] == []
    assert not any("lanes[" in name for name in changes), "a large array is one word"


def test_a_vcd_says_the_same(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    convert(raw, tmp_path / "run.vcd", declarations(design.verilog))
    text = (tmp_path / "run.vcd").read_text()
    code = re.search(r"\$scope struct answers__payload \$end\s+\$var string 1 (\S+) operation \$end", text)
    assert code is not None
    assert re.findall(rf"^s(\S+) {re.escape(code[1])}$", text, re.MULTILINE) == ["ADD", "NEGATE", "2"]
    assert "sGIVES_ANSWER " in text, "a VCD has no spaces in a value"
    assert "$var wire 1 " in text
    assert not re.search(r"\$var \w+ \d+ \S+ \$", text)
    # What was converted can be converted: it is a VCD.
    convert(tmp_path / "run.vcd", tmp_path / "again.fst", declarations(design.verilog))
    assert [int(value, 2) for value in moved(read(tmp_path / "again.fst")[0], "answers", "inner.id")] == [7, 31, 0]


def test_save_files_open_on_the_ports(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    waveform = tmp_path / "run.fst"
    convert(raw, waveform, declarations(design.verilog))
    gtkwave, surfer = save_files(waveform)
    fields = ["operation", "value", "pair", "lanes", "inner.id", "inner.last"]
    ports = ["clk", "rst"]
    for name in ("requests", "answers"):
        ports += [f"{name}__valid", f"{name}__ready", *(f"{name}__payload.{field}" for field in fields)]
    shown = re.findall(r"^(?:\+\{\S+\} )?top\.([\w.]+)", gtkwave.read_text(), re.MULTILINE)
    assert shown == ports
    # Signed decimal, in a group of its port.
    assert "@420\n+{value} top.requests__payload.value[7:0]" in gtkwave.read_text()
    assert "-requests\n" in gtkwave.read_text()
    # 40 of GTKWave's 200 pixels for a cycle of 10 ns.
    assert "\n*-5.643856 " in gtkwave.read_text()
    commands = surfer.read_text().splitlines()
    assert [line.split("top.")[1] for line in commands if line.startswith("variable_add")] == ports
    items = [line for line in commands if line.startswith(("divider_add", "variable_add"))]
    # The 18th item, which is named by two letters.
    assert commands[commands.index("variable_add top.answers__payload.lanes") + 1 :][:2] == [
        "item_focus bb",
        "item_set_format Hexadecimal",
    ]
    assert items[17] == "variable_add top.answers__payload.lanes"
    names = {re.sub(r"^top\.", "", name) for name in read(waveform)[0]}
    assert set(ports) <= names
    assert opening(waveform) == (f"gtkwave {waveform} {gtkwave}", f"surfer -c {surfer} {waveform}")


def test_the_same_run_gives_the_same_bytes(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    for name in ("a", "b"):
        convert(raw, tmp_path / f"{name}.fst", declarations(design.verilog))
    assert (tmp_path / "a.fst").read_bytes() == (tmp_path / "b.fst").read_bytes()


def test_a_vcd_is_converted_while_it_is_written(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    text, growing = raw.read_text(), tmp_path / "growing.vcd"
    pieces = random.Random(7).sample(range(1, len(text)), 12)
    with converting(growing, tmp_path / "run.fst", declarations(design.verilog)), growing.open("w") as file:
        for begin, end in pairwise([0, *sorted(pieces), len(text)]):
            file.write(text[begin:end])
            file.flush()
            time.sleep(0.02)
    convert(raw, tmp_path / "whole.fst", declarations(design.verilog))
    assert (tmp_path / "run.fst").read_bytes() == (tmp_path / "whole.fst").read_bytes()


def test_a_simulation_that_fails_leaves_what_it_recorded(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    waveform = tmp_path / "run.fst"
    with pytest.raises(RuntimeError, match="died"), converting(tmp_path / "none.vcd", waveform, {}):
        raise RuntimeError("died before it recorded anything")
    assert not waveform.exists()
    with pytest.raises(RuntimeError, match="died"), converting(raw, waveform, declarations(design.verilog)):
        raise RuntimeError("died")
    assert [value for _, value in read(waveform)[0]["top.answers__payload.operation"]] == ["ADD", "NEGATE", "2"]
    with pytest.raises(ToolError, match="recorded no VCD"), converting(tmp_path / "none.vcd", waveform, {}):
        pass


def test_what_a_dead_simulator_left_is_converted(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw, design = recorded
    text = raw.read_text()
    cut = tmp_path / "cut.vcd"
    # In the middle of the number of a time: "#1" is no time of this run.
    cut.write_text(text[: text.index("\n#45") + 3])
    convert(cut, tmp_path / "cut.fst", declarations(design.verilog))
    assert [time for time, _ in read(tmp_path / "cut.fst")[0]["top.clk"]][-1] == 40
    cut.write_text(text[:100])
    with pytest.raises(ToolError, match="VCD is incomplete: its definitions have no end"):
        convert(cut, tmp_path / "none.fst", {})
    assert not (tmp_path / "none.fst").exists()


def test_fields_need_not_be_in_the_vcd(recorded: tuple[Path, Design], tmp_path: Path) -> None:
    raw = tmp_path / "raw.vcd"
    values = [REQUEST.const({"operation": Operation.ADD, "value": value, "inner": {"id": 9}}) for value in (-3, -3, 5)]
    values.append(REQUEST.const({"operation": Operation.NEGATE, "value": 5}))
    changes = "".join(f"#{10 * n}\nb{value.as_value().value:b} !\n" for n, value in enumerate(values))
    raw.write_text(
        "$timescale 1ns $end\n$scope module top $end\n"
        f"$var wire {REQUEST.size} ! held [{REQUEST.size - 1}:0] $end\n$upscope $end\n$enddefinitions $end\n{changes}"
    )
    convert(raw, tmp_path / "run.fst", declarations(recorded[1].verilog))
    found, widths = read(tmp_path / "run.fst")
    assert found["top.held.operation"] == [(0, "ADD"), (30, "NEGATE")], "no change where a field does not change"
    assert found["top.held.value"] == [(0, "11111101"), (20, "00000101")]
    assert found["top.held.inner.id"] == [(0, "01001"), (30, "00000")]
    assert widths["top.held"] == REQUEST.size


def test_places_of_fields() -> None:
    text = """
module top(word);
  input [7:0] word;
  wire [7:0] word;
  wire [3:0] \\word.low ;
  wire \\word.low.sign ;
  wire [7:0] joined;
  wire \\joined.top ;
  wire [3:0] \\joined.xs[0] ;
  wire [2:0] other;
  wire [3:0] part;
  wire [3:0] \\unsure.field ;
  wire [3:0] \\part.field ;
  assign \\word.low  = word[3:0];
  assign \\word.low.sign  = word[3];
  assign joined = { word[7], other, part };
  assign \\joined.top  = word[7];
  assign \\joined.xs[0]  = part;
  assign \\part.field  = word[3:0];
endmodule
"""
    found = declarations(text)
    places = {name: (one.holder, one.offset, one.width) for name, one in found.items() if one.holder}
    assert places == {
        "top.word.low": ("top.word", 0, 4),
        "top.word.low.sign": ("top.word", 3, 1),
        "top.joined.top": ("top.joined", 7, 1),
        "top.joined.xs[0]": ("top.joined", 0, 4),
    }, "not of a signal that is assigned something else, or that there is not"
    assert found["top.word"].direction == "input"


def test_the_names_that_icarus_writes(tmp_path: Path) -> None:
    raw = tmp_path / "raw.vcd"
    raw.write_text(
        "$date\n\tnow\n$end\n$timescale\n\t1ps\n$end\n$scope module top $end\n$var wire 4 ! word [3:0] $end\n"
        '$var wire 2 " \\word.low [1:0] $end\n$var reg 1 # \\$1 $end\n$upscope $end\n$enddefinitions $end\n'
        '#0\n$dumpvars\nbx !\nb1x "\n0#\n$end\n#10\nb101 !\nb1 "\n1#\n'
    )
    convert(raw, tmp_path / "run.fst", {})
    changes, _ = read(tmp_path / "run.fst")
    assert changes == {"top.word": [(0, "xxxx"), (10, "0101")], "top.word.low": [(0, "1x"), (10, "01")]}


def test_a_format_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be \.fst or \.vcd, not '\.ghw'"):
        convert(tmp_path / "raw.vcd", tmp_path / "run.ghw", {})
    monkeypatch.setitem(__import__("sys").modules, "pylibfst", None)
    with pytest.raises(UnavailableError, match="pylibfst, which writes FST, is not usable"):
        check_format(".fst")
    check_format(".vcd")


def test_verilator_is_told_what_not_to_trace() -> None:
    design = elaborate(Core()).verilog
    for fields in (False, True):
        shown = only_shown(design, fields=fields)
        hidden = re.findall(r"tracing_off \*/\n +\w+ (?:signed )?(?:\[\d+:\d+\] )?\\?(\S+)", shown)
        assert any(name.startswith("$") for name in hidden)
        assert ("requests__payload.inner.id" in hidden) is not fields
        assert "requests__payload.lanes[16]" in hidden
        assert not any(name in hidden for name in ("requests__payload", "held", "fsm_state"))


def test_names_resolve() -> None:
    assert all(hasattr(waveforms, name) for name in waveforms.__all__)
