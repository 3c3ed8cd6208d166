"""Registers that move into block RAM: the same words in the same cycles, in a model of the block."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.lib import data, wiring

from ninefold.hdl import block_ram, yosys
from ninefold.hdl.block_ram import absorb_registers
from ninefold.hdl.configurations import CONFIGURATIONS
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.miner.registers import RegisterFile
from ninefold.sim.levels.netlist import cell_models
from ninefold.sim.verilated import Design, Gaps, Model, elaborate
from tests.hdl.test_spram import WIDTH, StoreTestbench, words

#: Yosys has none.
MODEL = (Path(__file__).parent / "dp16kd.v").read_text()


def cells(netlist: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(netlist.read_text())["modules"]["top"]["cells"].values()
    return [cell for cell in found if cell["type"] == kind]


def mapped(core: wiring.Component, folder: Path) -> Path:
    """Return the netlist of a core for ECP5."""
    (folder / "top.il").write_text(allow_collisions(rtlil(core)))
    script = "read_rtlil top.il; synth_ecp5 -top top; select -assert-min 1 t:DP16KD; write_json top.json"
    yosys.run(script, folder)
    return folder / "top.json"


def design(core: wiring.Component, netlist: Path) -> Design:
    """Return what Verilator simulates: the netlist, Yosys' models of its cells and ours of the block."""
    script = f"read_json {netlist.name}; write_verilog -noattr top.v"
    yosys.run(script, netlist.parent)
    # Our model has no initial values.
    text = re.sub(r"\.INITVAL_\w\w\([^()]*\),\s*", "", (netlist.parent / "top.v").read_text())
    return Design(text + MODEL + cell_models("ecp5"), elaborate(core).streams)


@pytest.mark.parametrize("depth", [1000, 4096])
def test_a_store_reads_what_was_written_in_as_many_cycles(depth: int, tmp_path: Path) -> None:
    netlist = mapped(StoreTestbench(True, depth), tmp_path)
    cycles = words(elaborate(StoreTestbench(True, depth)), depth)
    # What Yosys made works in the model of the block.
    assert words(design(StoreTestbench(True, depth), netlist), depth) == cycles
    before = len(cells(netlist, "TRELLIS_FF"))
    assert absorb_registers(netlist) == WIDTH
    assert len(cells(netlist, "TRELLIS_FF")) == before - WIDTH
    assert all("OUTREG" in cell["parameters"].values() for cell in cells(netlist, "DP16KD"))
    assert words(design(StoreTestbench(True, depth), netlist), depth) == cycles


def test_a_queue_whose_register_has_an_enable_of_its_own(tmp_path: Path) -> None:
    layout = data.StructLayout({"word": 20})

    def queue() -> Queue:
        return Queue(layout, 1024, registered=True)

    netlist = mapped(queue(), tmp_path)
    assert absorb_registers(netlist) == 20
    assert all(cell["connections"]["OCEB"] != ["1"] for cell in cells(netlist, "DP16KD"))
    sent = np.random.default_rng(5).integers(2**20, size=5000)
    cycles = []
    for made in (design(queue(), netlist), elaborate(queue())):
        model = Model(made, quick=True)
        beats = model.streams["input"].pack(len(sent), {"word": sent})
        run = model.run({"input": beats}, {"output": len(sent)}, gaps=Gaps(0.4, 7))
        np.testing.assert_array_equal(model.streams["output"].unpack(run.outputs["output"])["word"], sent)
        cycles.append(run.cycles)
    assert cycles[0] == cycles[1]


def test_both_halves_of_the_constants_use_the_registers_of_their_ports(tmp_path: Path) -> None:
    netlist = mapped(RegisterFile(CONFIGURATIONS["ulx3s/full"].miner), tmp_path)
    absorb_registers(netlist)
    (constants,) = cells(netlist, "DP16KD")
    assert constants["parameters"]["REGMODE_A"] == constants["parameters"]["REGMODE_B"] == "OUTREG"


def ram(**pins: Any) -> dict[str, Any]:
    """Return a block whose port B shows two bits, by its connections."""
    connections = {"CLKA": [2], "CLKB": [2], "DOB0": [10], "DOB1": [11], "DOB2": [12], "OCEA": ["1"], "OCEB": ["1"]}
    connections |= pins
    directions = {pin: "output" if pin.startswith("DO") else "input" for pin in connections}
    parameters = dict.fromkeys(("CLKAMUX", "CLKBMUX"), "CLK") | dict.fromkeys(("REGMODE_A", "REGMODE_B"), "NOREG")
    parameters["DATA_WIDTH_B"] = f"{18:032b}"
    return {"type": "DP16KD", "parameters": parameters, "port_directions": directions, "connections": connections}


def register(given: int, shown: int, **changes: Any) -> dict[str, Any]:
    """Return a flip-flop from one bit to another; changes are parameters or connections."""
    parameters = {"CEMUX": "CE", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"}
    connections = {"CLK": [2], "CE": [3], "DI": [given], "LSR": ["0"], "Q": [shown]}
    for name, change in changes.items():
        (parameters if name in parameters else connections)[name] = change
    directions = {pin: "output" if pin == "Q" else "input" for pin in connections}
    return {"type": "TRELLIS_FF", "parameters": parameters, "port_directions": directions, "connections": connections}


def written(folder: Path, found: dict[str, Any], outputs: tuple[int, ...] = (20, 21)) -> Path:
    ports = {"clk": {"direction": "input", "bits": [2]}, "seen": {"direction": "output", "bits": list(outputs)}}
    file = folder / "netlist.json"
    file.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": found}}}))
    return file


def test_what_a_netlist_becomes(tmp_path: Path) -> None:
    """The result that the revision, and with it every digest, stands for."""
    file = written(tmp_path, {"ram": ram(), "core.a": register(10, 20), "core.b": register(11, 21)})
    assert absorb_registers(file) == 2
    changed = ram(DOB0=[20], DOB1=[21], OCEB=[3])
    changed["parameters"]["REGMODE_B"] = "OUTREG"
    assert json.loads(file.read_text())["modules"]["top"]["cells"] == {"ram": changed}
    assert block_ram.REVISION == 2


def test_without_an_enable_the_register_always_follows(tmp_path: Path) -> None:
    always = {"CEMUX": "1 "}
    file = written(tmp_path, {"ram": ram(), "a": register(10, 20, **always), "b": register(11, 21, **always)})
    assert absorb_registers(file) == 2
    assert cells(file, "DP16KD")[0]["connections"]["OCEB"] == ["1"]


@pytest.mark.parametrize(
    "change",
    [
        {"CLK": [4]},
        {"CLKMUX": "INV"},
        {"CEMUX": "INV"},
        {"CEMUX": "1"},
        {"CE": [5]},
        {"LSR": [6]},
        {"REGSET": "SET"},
    ],
    ids=str,
)
def test_a_register_that_is_not_that_of_a_port_stays(change: dict[str, Any], tmp_path: Path) -> None:
    file = written(tmp_path, {"ram": ram(), "a": register(10, 20), "b": register(11, 21, **change)})
    before = file.read_text()
    assert absorb_registers(file) == 0
    assert file.read_text() == before


def test_a_word_that_leaves_by_both_ports_stays(tmp_path: Path) -> None:
    """Flip-flops whose register and clock would belong to the other port."""
    wide = ram()
    wide["parameters"]["DATA_WIDTH_B"] = f"{36:032b}"
    file = written(tmp_path, {"ram": wide, "a": register(10, 20), "b": register(11, 21)})
    assert absorb_registers(file) == 0


@pytest.mark.parametrize(
    ("more", "outputs"),
    [({"c": register(11, 22)}, (20, 21, 22)), ({}, (20, 21, 11)), ({"ram 2": ram(DOB0=[30], DIA0=[11])}, (20, 21))],
)
def test_a_word_that_is_read_elsewhere_too_stays(
    more: dict[str, Any], outputs: tuple[int, ...], tmp_path: Path
) -> None:
    file = written(tmp_path, {"ram": ram(), "a": register(10, 20), "b": register(11, 21), **more}, outputs)
    assert absorb_registers(file) == 0


def test_other_registers_than_those_of_the_core_stay(tmp_path: Path) -> None:
    parts: Callable[[str], dict[str, Any]] = lambda owner: {  # noqa: E731
        "ram": ram(),
        f"{owner}.a": register(10, 20),
        f"{owner}.b": register(11, 21),
    }
    assert absorb_registers(written(tmp_path, parts("seen")), within="core.") == 0
    assert absorb_registers(written(tmp_path, parts("core")), within="core.") == 2
