"""Synthesised netlist of a component, as Verilog with the simulation models of the device's cells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ninefold.hdl import tools, yosys
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.spram import SpramMemories
from ninefold.sim.verilated import Design
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import UnsupportedError

__all__ = ["FAMILIES", "cell_models", "netlist"]

#: Synthesis command of each device family for whose cells Yosys has simulation models.
FAMILIES: Mapping[str, str] = MappingProxyType({name: tools.SYNTHESIS[name] for name in ("ice40", "ecp5")})
# The last step is left out: it names cells after their surroundings, and Verilator cannot trace such long names.
_SCRIPT = (
    "read_rtlil top.il; {synthesis} -top top -run begin:check; tee -q -o stat.json stat -json; "
    "write_verilog -noattr top.v"
)
#: Cells declared without a model.
_OUTLINE = re.compile(r"^\(\* blackbox \*\)\s*module\b.*?^endmodule", re.MULTILINE | re.DOTALL)
#: Multiplier of ECP5 with registers, which Yosys does not use.
_REGISTERED = re.compile(r'\.REG_\w+_CLK\("(?!NONE)\w+"\)')
#: Timing models are removed, as Verilator ignores them with a warning for each line.
_TIMING = re.compile(r"^\s*specify\b.*?^\s*endspecify\b", re.MULTILINE | re.DOTALL)


def netlist(component: Any, family: str) -> Design:
    """Return the netlist of a component for a device family, synthesised if it is not in the cache.

    Parameters
    ----------
    component : wiring.Component
        The component, whose members are all streams. It is elaborated here.
    family : str
        One of `FAMILIES`.

    Raises
    ------
    UnsupportedError
        Yosys has no simulation model for some cells of the netlist; the message names them.
    UnavailableError
        Yosys is not installed.
    ToolError
        Yosys failed.
    """
    streams = streams_of(component)
    version = yosys.version()
    script = _SCRIPT.format(synthesis=FAMILIES[family])
    text = _rtlil(component, family)

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        yosys.run(script, folder)
        (folder / "top.il").unlink()

    entry = BuildCache("level-netlists").get(digest_of(text, script, version), build)
    models = cell_models(family)
    used = json.loads((entry / "stat.json").read_text())["design"]["num_cells_by_type"]
    known = re.findall(r"^\s*module\s+(\w+)", models, re.MULTILINE)
    unknown = [f"{count} {cell}" for cell, count in used.items() if cell not in known and not cell.startswith("$")]
    if unknown:
        raise UnsupportedError(f"the netlist has {', '.join(unknown)}, for which Yosys has no simulation model")
    verilog = (entry / "top.v").read_text()
    if register := _REGISTERED.search(verilog):
        raise UnsupportedError(f"the netlist has a multiplier with registers ({register[0]}), which has no model")
    return Design(verilog + models, streams)


def _rtlil(component: Any, family: str) -> str:
    # Large memories become SPRAM, as on a board.
    platform = SpramMemories() if family == "ice40" else None
    return allow_collisions(rtlil(component, platform=platform))


def cell_models(family: str) -> str:
    """Return simulation models of the cells of a family, without timing: Yosys', and one of ECP5's multiplier."""
    models = _TIMING.sub("", _OUTLINE.sub("", _included(yosys.share() / family, "cells_sim.v")))
    return models + (_multiplier() if family == "ecp5" else "")


def _multiplier() -> str:
    """Return the model of ECP5's multiplier without registers, with the ports that Yosys declares."""
    outlines = (yosys.share() / "ecp5" / "cells_bb.v").read_text()
    found = re.search(r"^module MULT18X18D\(.*?(?=^endmodule)", outlines, re.MULTILINE | re.DOTALL)
    if found is None:
        return ""

    def bits(port: str, count: int) -> str:
        return ", ".join(f"{port}{bit}" for bit in reversed(range(count)))

    return f"""{found[0]}
    wire signed [18:0] factor_a = {{SIGNEDA & A17, {bits("A", 18)}}};
    wire signed [18:0] factor_b = {{SIGNEDB & B17, {bits("B", 18)}}};
    wire signed [37:0] product = factor_a * factor_b;
    assign {{{bits("P", 36)}}} = product[35:0];
    assign SIGNEDP = SIGNEDA | SIGNEDB;
endmodule
"""


def _included(folder: Path, name: str) -> str:
    return re.sub(r'`include "([^"]+)"', lambda found: _included(folder, found[1]), (folder / name).read_text())
