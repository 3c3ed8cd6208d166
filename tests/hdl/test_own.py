"""A user's Verilog module becomes a core: its ports are found, or it is refused with the ports that there are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Shape, signed
from amaranth.lib.data import ArrayLayout
from click.testing import CliRunner

from ninefold.hdl.catalogue import find_core, make_core
from ninefold.hdl.elaborate import rtlil, verilog
from ninefold.hdl.own import ControlRegister, StreamIn, StreamOut, Verilog
from ninefold.hdl.own.modules import module_of
from ninefold.host.cli import cli
from ninefold.spec.errors import InputError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "own"
BYTES = ArrayLayout(signed(8), 8)


def dot8(**changed: Any) -> Any:
    """Return the component of the dot product, declared with these changes."""
    module = changed.pop("module", "dot8")
    streams = {"a": StreamIn(x=BYTES, w=BYTES), "y": StreamOut(sum=signed(19))}
    given: dict[str, Any] = {"streams": streams, **changed}
    return Verilog(module, given.pop("files", [FIXTURES / "dot8.v"]), **given).make()


def module(tmp_path: Path, text: str, **streams: Any) -> Any:
    (tmp_path / "m.v").write_text(text)
    return Verilog("m", [tmp_path / "m.v"], streams=streams).make()


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        ("dot8", {"a": 128, "y": 19}),
        ("crc16", {"bytes": 9, "crc": 16}),
        ("axis_fifo", {"s_axis": 9, "m_axis": 9}),
        ("affine", {"a": 12, "b": 14}),
    ],
)
def test_a_file_is_a_core_with_its_streams(name: str, streams: dict[str, int]) -> None:
    core = make_core(str(FIXTURES / f"{name}.py"))
    found = {stream: Shape.cast(getattr(core, stream).payload.shape()).width for stream in core.signature.members}
    assert found == streams
    text = rtlil(core)
    # Without hierarchy, whatever submodules the files have.
    assert text.count("\nmodule \\foreign_") == (name != "crc16")


def test_parameters_are_options_and_change_the_shapes() -> None:
    core = make_core(str(FIXTURES / "dot8.py"), LANES=4)
    assert Shape.cast(core.a.payload.shape()).width == 64
    result = CliRunner().invoke(cli, ["elaborate", str(FIXTURES / "dot8.py"), "--LANES", "4"])
    assert result.exit_code == 0, result.output
    assert ".LANES(4)" in result.output
    assert "// Dot product of two vectors of signed bytes" in result.output, "the author's text follows"


def test_a_name_after_a_colon_chooses_a_core_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = find_core(f"{FIXTURES / 'crc16.py'}:Crc16")
    assert (entry.name, entry.core.make.__name__) == ("crc16_Crc16", "Crc16")  # type: ignore[attr-defined]
    monkeypatch.syspath_prepend(str(FIXTURES))
    assert find_core("crc16:Crc16").module == "crc16"
    with pytest.raises(
        InputError, match=r"crc16 must define golden as a ninefold.hdl.own.Verilog, a .*, not <function"
    ):
        find_core("crc16:golden")


def test_a_reset_is_active_low_by_its_name_or_by_hand(tmp_path: Path) -> None:
    assert make_core(str(FIXTURES / "axis_fifo.py")).reset_low
    assert not make_core(str(FIXTURES / "dot8.py")).reset_low
    low = dot8(reset="rst", reset_low=True)
    assert ".rst(~rst)" in verilog(low, "low")
    verilog_text = (FIXTURES / "dot8.v").read_text().replace("rst", "nrst")
    (tmp_path / "dot8.v").write_text(verilog_text)
    found = dot8(files=[tmp_path / "dot8.v"])
    assert (found.reset.name, found.reset_low) == ("nrst", True)
    assert make_core(str(FIXTURES / "affine.py")).reset is None


def test_what_yosys_refuses_has_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Yosys refuses \S*m.v:3: syntax error"):
        module(tmp_path, "module m(input clk,\n  output y);\n  assign y = = clk;\nendmodule\n")
    (tmp_path / "inner.vh").write_text("wire a;\nwire b b;\n")
    with pytest.raises(InputError, match=r"Yosys refuses inner.vh:2: syntax error"):
        module(tmp_path, 'module m(input clk);\n`include "inner.vh"\nendmodule\n')
    (tmp_path / "inner.vh").write_text("\n\n\n\n")
    with pytest.raises(InputError, match=r"Yosys refuses \S*m.v:3: syntax error"):
        module(tmp_path, 'module m(input clk);\n`include "inner.vh"\nwire b b;\nendmodule\n')


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"module": "dot"}, "there is no module 'dot': the files define dot8; did you mean 'dot8'?"),
        ({"files": ["dot8.vhd"]}, "dot8.vhd is VHDL, which must be converted to Verilog first"),
        ({"files": ["none.v"]}, "the Verilog file none.v cannot be read: No such file or directory"),
        ({"files": "dot8.v"}, r"files must be a sequence of files, e.g. \['dot8.v'\], not 'dot8.v'"),
        ({"files": []}, "files must name at least one Verilog file, not none"),
        ({"parameters": {"WIDTH": 3}}, "module dot8 has no parameter 'WIDTH': its parameters are LANES"),
        ({"clock": "ck"}, r"dot8 has no port 'ck', which is given as clock; dot8 has input clk, input rst, "),
        ({"reset": "a_x"}, r"the reset of dot8 must be an input of one bit, not `input \[63:0\] a_x`"),
        (
            {"reset": ""},
            r"nothing drives input rst of dot8: declare a stream or a ControlRegister for it, name the reset with "
            r"reset='rst', or give it a constant with ties={'rst': 0}",
        ),
        ({"ties": {"mode": 1}}, "dot8 has no input 'mode', which ties names; dot8 has input clk"),
        (
            {"streams": {"y": StreamOut(sum=19)}},
            r"nothing drives input a_valid, input \[63:0\] a_x, input \[63:0\] a_w of",
        ),
        ({"streams": {"a": StreamIn(x=BYTES, w=BYTES)}}, "streams must contain a StreamOut, not only a"),
        ({"streams": {"a": 3}}, "stream a must be a StreamIn or a StreamOut, not 3"),
        (
            {"streams": {"a": StreamIn(x=BYTES, w=BYTES), "y": StreamOut(sum=signed(20))}},
            r"stream y of dot8 declares 20 bits for sum, but the port is `output \[18:0\] y_sum`, 19 bits; dot8 has",
        ),
        (
            {"streams": {"a": StreamIn(x=BYTES, v=BYTES), "y": StreamOut(sum=19)}},
            "stream a of dot8 has no port for its payload, nor for v: looked for a_payload, a__payload, a_tdata, ",
        ),
        (
            {"streams": {"b": StreamIn(x=BYTES), "y": StreamOut(sum=19)}},
            r"stream b of dot8 has no port for valid: looked for b_valid, b__valid, b_tvalid, s_axis_b_tvalid, "
            r"m_axis_b_tvalid, axis_b_tvalid; dot8 has input clk, .*, output \[18:0\] y_sum",
        ),
        (
            {"streams": {"y": StreamIn(sum=19), "a": StreamOut(x=BYTES, w=BYTES)}},
            "stream y of dot8 needs an input for valid, not `output y_valid`",
        ),
        (
            {"streams": {"a": StreamIn(x=BYTES, w=BYTES, last=True), "y": StreamOut(sum=19)}},
            "stream a of dot8 has no port for last: looked for a_last",
        ),
        (
            {"streams": {"a": StreamIn(x=BYTES, w=BYTES), "y": StreamOut(sum=19, ready=False)}},
            "stream y of dot8 declares ready=False, but has the port input y_ready: leave ready=False out",
        ),
        (
            {"streams": {"a": StreamIn(x=BYTES, w=BYTES, ports={"x": "a_z"}), "y": StreamOut(sum=19)}},
            "stream a of dot8 has no port 'a_z', which ports gives for x",
        ),
    ],
)
def test_what_does_not_match_is_refused_with_what_there_is(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        dot8(**changed)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: StreamIn(), "a stream must have at least one field"),
        (
            lambda: StreamIn(valid=1),
            "a field must be an identifier other than valid, ready, last, payload, not 'valid'",
        ),
        (lambda: StreamIn(x="8"), "field x must have an Amaranth shape"),
        (lambda: StreamIn(x=1, ports={"y": "z"}), r"ports must name valid, .*, x, not 'y' \(which is given 'z'\)"),
        (lambda: StreamOut(x=1, latency=-1), "latency must be an integer from 0 to 1000, not -1"),
    ],
)
def test_a_stream_that_makes_no_sense_is_refused(declare: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        declare()


def test_several_tops_are_listed(tmp_path: Path) -> None:
    (tmp_path / "two.v").write_text("module one(input clk);\nendmodule\nmodule two(input clk);\nendmodule\n")
    with pytest.raises(InputError, match="module must be named, because one, two could be the top"):
        Verilog("", [tmp_path / "two.v"], streams={"y": StreamOut(x=1)}).make()
    assert module_of((FIXTURES / "dot8.v").read_text(), "").name == "dot8"


def test_one_queue_serves_one_input(tmp_path: Path) -> None:
    ports = "input clk, input a_valid, input a_x, output y_valid, output y_z, output w_valid, output w_z"
    with pytest.raises(InputError, match=r"m has outputs with ready=False \(y, w\), so it must have one of them"):
        module(
            tmp_path,
            f"module m({ports});\nendmodule\n",
            a=StreamIn(x=1, ready=False),
            y=StreamOut(z=1, ready=False),
            w=StreamOut(z=1, ready=False),
        )


def test_a_module_named_top_is_refused(tmp_path: Path) -> None:
    (tmp_path / "top.v").write_text("module top(input clk, output y_valid, input y_ready, output y_z);\nendmodule\n")
    with pytest.raises(InputError, match="the module top must have another name"):
        Verilog("top", [tmp_path / "top.v"], streams={"y": StreamOut(z=1)}).make()
    with pytest.raises(InputError, match="name must not be dot8, which a Verilog module inside the core has"):
        verilog(dot8(), "dot8")


def test_a_change_of_the_files_changes_the_design(tmp_path: Path) -> None:
    for name in ("dot8.v", "dot8.py"):
        shutil.copyfile(FIXTURES / name, tmp_path / name)
    core = find_core(str(FIXTURES / "dot8.py")).core
    assert isinstance(core, Verilog)
    before = rtlil(core.make())
    copy = Verilog(
        "dot8", [tmp_path / "dot8.v"], streams={"a": StreamIn(x=BYTES, w=BYTES), "y": StreamOut(sum=signed(19))}
    )
    (tmp_path / "dot8.v").write_text((tmp_path / "dot8.v").read_text().replace("total = 0", "total = 1"))
    assert rtlil(copy.make()) != before


def test_shapes_of_registers_may_depend_on_parameters(tmp_path: Path) -> None:
    (tmp_path / "shift.v").write_text(
        "module shift #(parameter WIDTH = 4) (input clk, input [WIDTH-1:0] by, input [7:0] a_x, input a_valid,"
        " output a_ready, output [7:0] y_z, output y_valid, input y_ready);"
        " assign y_z = a_x + by, y_valid = a_valid, a_ready = y_ready; endmodule"
    )
    core = Verilog(
        "shift",
        [tmp_path / "shift.v"],
        streams={"a": StreamIn(x=8), "y": StreamOut(z=8)},
        registers=lambda **given: {"by": ControlRegister(given["WIDTH"], reset=2 ** (given["WIDTH"] - 1))},
        parameters={"WIDTH": 4},
    )
    for width, reset in ((4, 8), (6, 32)):
        found = core.make(WIDTH=width).registers["by"]
        assert (found.bits, found.reset) == (width, reset)
