"""Estimates held to simulation, to Yosys and nextpnr, and to what manifests say."""

import json
import re
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.hdl.bitstream.plans import buildable
from ninefold.hdl.boards import BOARDS
from ninefold.hdl.commands.estimate import _share, estimate
from ninefold.hdl.configurations import Configuration, configuration
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.estimate import changed, speed
from ninefold.hdl.estimate_area import AVAILABLE, REPORTED, TERMS, Family, area, fitted
from ninefold.hdl.estimate_fit import DESIGNS, design, fit, measure
from ninefold.hdl.miner import MinerParameters
from ninefold.host.cli import cli
from ninefold.sim.verilated import Model, elaborate
from ninefold.spec.errors import InputError
from ninefold.spec.manifest import manifests
from ninefold.spec.registers import BY_NAME
from tests.hdl import client
from tests.hdl.test_miner import TINY, Board, reply_cycles

SMALL = MinerParameters(64, 2, 16, 4, 24_000_000, window=2, buffer_bytes=512, reply_bytes=256)
WIDE = MinerParameters(64, 64, 8, 2, 100_000_000, buffer_bytes=1024, reply_bytes=256)
MEASURED: list[dict[str, Any]] = fitted()["measured"]
HELD = [m for m in MEASURED if m["use"] == "held"]


def label(measured: dict[str, Any]) -> str:
    p = measured["parameters"]
    return f"{p['design']}-{measured['family']}-{p['dimensions']}x{p['depth']}-{p['lanes']}-k{p['k'] or p['keep']}"


@pytest.fixture(scope="module", params=[TINY, SMALL, WIDE], ids=["tiny", "small", "wide"])
def board(request: pytest.FixtureRequest) -> Board:
    """A miner behind a FIFO with a full store, loaded in two blocks."""
    p: MinerParameters = request.param
    made = Board(Model(elaborate(Miner(p)), quick=True))
    random = np.random.default_rng(1)
    rows = client.packed(random.integers(-4, 5, (p.depth, p.dimensions)))
    half = p.depth // 2 * p.row_bytes
    made.ask(client.load, 0, rows[:half])
    made.ask(client.load, half, rows[half:], final=True)
    made.ask(client.write, BY_NAME["epoch"].address, 1)
    made.parameters = p  # type: ignore[attr-defined]
    return made


def ask(board: Board, requests: int, count: int) -> list[int]:
    p: MinerParameters = board.parameters  # type: ignore[attr-defined]
    queries = np.random.default_rng(2).integers(-4, 5, (count, p.dimensions))
    ends = reply_cycles(board, [client.query(board.sequence + i, queries, p.k, epoch=1) for i in range(requests)])
    board.sequence += requests
    return ends


def test_latency_is_that_of_the_simulation(board: Board) -> None:
    (took,) = ask(board, 1, 1)
    expected = speed(Configuration(board.parameters, None)).latency_cycles  # type: ignore[attr-defined]
    assert expected == pytest.approx(took, rel=0.15)


def test_queries_come_as_close_as_the_engine_lets_them(board: Board) -> None:
    found = speed(Configuration(board.parameters, None))  # type: ignore[attr-defined]
    if found.interval_cycles > found.engine_cycles:
        assert board.parameters == WIDE  # type: ignore[attr-defined]
        return
    ends = ask(board, 8, 2)
    assert median(b - a for a, b in pairwise(ends)) == 2 * found.interval_cycles


def test_what_bounds_the_catalogue() -> None:
    small, full = speed(configuration("icebreaker/small")), speed(configuration("ulx3s/full"))
    assert small.interval_cycles == small.engine_cycles == 512 * 24
    assert small.queries_s == pytest.approx(24e6 / 12_288)
    assert 0 < small.link_share < 1
    # Of ulx3s/full the line from the board, which takes 64 results a query, is the narrowest.
    assert full.link_share < full.reply_share == 1
    assert full.engine_cycles == 1024
    assert full.interval_cycles == full.line_cycles > 100_000


def test_the_page_lists_the_configurations_of_boards_with_their_cycles() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bitstreams.md").read_text()
    row = (
        r"^\| `(\w+/\w+)` \| (\w+) \| ([\d,]+) x (\d+) \w+ \| ([\d,]*\d)[^|]*"
        r"\| (?:k|keep) up to ([\d,]+) \| (\d+) MHz \| ([\d,]+) \|$"
    )
    listed = {name: (design, *figures) for name, design, *figures in re.findall(row, page, re.MULTILINE)}
    due = {}
    for name in buildable():
        made = configuration(name)
        p = made.miner
        figures = (p.depth, p.dimensions, p.lanes, p.k or p.keep, p.clock_hz // 10**6, speed(made).engine_cycles)
        due[name] = (p.design, *(f"{figure:,}" for figure in figures))
    assert listed == due


@pytest.mark.parametrize("measured", MEASURED, ids=label)
def test_blocks_of_memory_are_those_of_yosys(measured: dict[str, Any]) -> None:
    assert area(MinerParameters(**measured["parameters"]), measured["family"]).blocks == measured["blocks"]


@pytest.mark.parametrize("measured", HELD, ids=label)
@pytest.mark.parametrize("kind", ["lut4", "packed"])
def test_cells_of_designs_that_were_not_fitted(measured: dict[str, Any], kind: str) -> None:
    found = getattr(area(MinerParameters(**measured["parameters"]), measured["family"]), kind)
    assert found == pytest.approx(measured[kind], rel=0.15)


def test_enough_designs_are_held_out_and_the_weights_are_those_of_the_others() -> None:
    assert len(HELD) >= 7
    weights = fit(MEASURED)
    held = {(m["parameters"]["design"], m["family"]) for m in HELD}
    for found in (weights, fitted()["weights"]):
        assert {(design, family) for design, families in found.items() for family in families} == held
    for kind, families in weights.items():
        assert list(fitted()["terms"][kind]) == list(TERMS[kind])
        for family, cells in families.items():
            for cell, values in cells.items():
                assert values == pytest.approx(fitted()["weights"][kind][family][cell], rel=1e-3, abs=1e-2)


def test_yosys_says_so_today() -> None:
    family: Family = "ice40"
    parameters = design(DESIGNS["miner", family][0], "miner", family)
    today, then = measure(parameters, 8, family), next(m for m in MEASURED if m["family"] == family)
    found = area(parameters, family)
    assert today["blocks"] == then["blocks"] == found.blocks
    assert today["lut4"] == pytest.approx(then["lut4"], rel=0.02)
    assert found.lut4 == pytest.approx(today["lut4"], rel=0.15)
    assert found.packed == pytest.approx(today["packed"], rel=0.15)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lanes": "5"}, "lanes must be even and divide dimensions (384), not 5"),
        ({"lanes": "many"}, "lanes must be an integer, not 'many'"),
        ({"baud": "7"}, "baud must divide the clock of 24000000 Hz, which 7 does not"),
        ({"baud": "12000000"}, "clock_hz / baud must be an integer from 4 to 65535, not 2"),
        ({"mode": "cubic"}, "mode must be one of tanh, linear, not 'cubic'"),
    ],
)
def test_refusals(values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        changed(configuration("icebreaker/small"), values)


def test_unknown_parameters_are_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^a parameter must be one of dimensions, .*, baud, not 'digest'$"):
        changed(configuration("icebreaker/small"), {"digest": "0"})


def test_command() -> None:
    shown = CliRunner().invoke(estimate, ["icebreaker/small", "--json"], catch_exceptions=False)
    report = json.loads(shown.output)
    assert report["blocks"] == {"SB_RAM40_4K": 28, "SB_SPRAM256KA": 4}
    assert report["interval_cycles"] == 12_288
    made = manifests().get("icebreaker/small")
    assert (report["measured"] or {}).get("lut4") == (None if made is None else made.resources["lut4"].used)
    more = CliRunner().invoke(estimate, ["icebreaker/small", "-p", "depth=256", "--json"], catch_exceptions=False)
    assert json.loads(more.output)["engine_cycles"] == 6_144
    assert report["fits"] is True
    assert report["available"]["packed"] == 5_280
    large = CliRunner().invoke(estimate, ["icebreaker/small", "-p", "lanes=384"], catch_exceptions=False)
    assert re.search(r"lanes=384 does not fit: [\d,]+ logic cells of 5,280", large.stderr)
    table = CliRunner().invoke(estimate, ["ulx3s/full"], catch_exceptions=False).output
    assert "DP16KD" in table
    assert "1,024" in table
    with pytest.raises(InputError, match="has no device"):
        CliRunner().invoke(estimate, ["virtual/tiny"], catch_exceptions=False)
    with pytest.raises(InputError, match="must be NAME=VALUE"):
        CliRunner().invoke(estimate, ["ulx3s/full", "-p", "lanes"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "family", "blocks"),
    [
        ("icebreaker/small", "ice40", {"SB_RAM40_4K": 28, "SB_SPRAM256KA": 4}),
        ("icebreaker/signs", "ice40", {"SB_RAM40_4K": 30, "SB_SPRAM256KA": 4}),
        ("ulx3s/full", "ecp5", {"DP16KD": 136}),
        ("ulx3s/signs", "ecp5", {"DP16KD": 148}),
        ("orangecrab/mid", "ecp5", {"DP16KD": 56}),
        ("tangnano9k/small", "gowin", {"BSRAM": 25}),
        ("tangnano9k/signs", "gowin", {"BSRAM": 20}),
    ],
)
def test_blocks_of_memory_of_the_catalogue(name: str, family: Family, blocks: dict[str, int]) -> None:
    assert area(configuration(name).miner, family).blocks == blocks


def test_cells_of_the_catalogue_as_far_as_it_was_built() -> None:
    for name, made in manifests().items():
        found = area(configuration(name).miner, BOARDS[name.partition("/")[0]].toolchain)
        if found.lut4 is not None:
            assert found.lut4 == pytest.approx(made.resources["lut4"].used, rel=0.15), name


def test_what_the_devices_have() -> None:
    assert {board.device for board in BOARDS.values()} == AVAILABLE.keys()
    for name, made in manifests().items():
        known = AVAILABLE[BOARDS[name.partition("/")[0]].device]
        cells = [u.available for key, u in made.resources.items() if REPORTED.get(key) == "packed"]
        assert cells == [known["packed"]], name


def test_the_data_say_what_they_were_made_with() -> None:
    data = json.loads((Path(__file__).parents[2] / "hdl" / "estimate_area.json").read_text())
    assert any("yosys" in name for name in data["versions"])
    assert "amaranth" in data["versions"]


def test_a_core_is_estimated_by_its_synthesis_on_every_board() -> None:
    dot8 = str(Path(__file__).parents[1] / "fixtures" / "own" / "dot8.py")
    result = CliRunner().invoke(cli, ["estimate", dot8, "-p", "LANES=1", "--json"])
    found = json.loads(result.stdout)
    assert found["parameters"] == {"LANES": 1}
    assert set(found["boards"]) == set(BOARDS)
    # The output's valid bit and 16 bits of the product; higher bits are equal to the sign.
    assert found["families"]["ecp5"]["ff"] >= 17
    assert all(family["dsp"] == 1 for family in found["families"].values())
    assert found["boards"]["icebreaker"]["cells"] == round(found["families"]["ice40"]["lut4"] / 5280, 4)
    shown = CliRunner().invoke(cli, ["estimate", dot8, "-p", "LANES=1"]).stdout
    assert all(board in shown for board in BOARDS)


@pytest.mark.parametrize("value", ["linear", "tahn"])
def test_a_parameter_with_a_few_values_is_one_of_them(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = dict.fromkeys(("lut4", "ff", "block_ram", "lut_ram", "dsp"), 0)
    monkeypatch.setattr("ninefold.hdl.synthesis.synthesised", lambda _core, _family: cells)
    result = CliRunner().invoke(cli, ["estimate", "quantiser", "-p", f"mode={value}", "--json"])
    if value == "linear":
        assert json.loads(result.stdout)["parameters"]["mode"] == value
    else:
        assert result.output == "error: mode must fit the core: 'tahn' is not one of 'tanh', 'linear'.\n"


def test_a_core_that_is_larger_than_a_device_does_not_fit() -> None:
    cells = {"lut4": 6000, "ff": 10, "block_ram": 1, "lut_ram": 0, "dsp": 0}
    assert _share(cells, AVAILABLE["iCE40UP5K"]) == {"cells": 1.1364, "memory": 0.0333, "fits": False}
    assert _share({**cells, "lut4": 10, "block_ram": 31}, AVAILABLE["iCE40UP5K"])["fits"] is False
    assert _share(cells, AVAILABLE["LFE5U-25F"])["fits"] is True


@pytest.mark.parametrize(
    ("given", "said"),
    [("LANES=x", "LANES must fit the core: 'x' is not a valid integer"), ("DEPTH=3", "dot8 does not take DEPTH")],
)
def test_a_parameter_that_a_core_does_not_take_is_refused(given: str, said: str) -> None:
    dot8 = str(Path(__file__).parents[1] / "fixtures" / "own" / "dot8.py")
    result = CliRunner().invoke(cli, ["estimate", dot8, "-p", given])
    assert isinstance(result.exception, InputError) or result.exit_code == 2
    assert said in str(result.exception) + result.output
