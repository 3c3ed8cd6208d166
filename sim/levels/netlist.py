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
    return Design((entry / "top.v").read_text() + models, streams)


def _rtlil(component: Any, family: str) -> str:
    # Large memories become SPRAM, as on a board.
    platform = SpramMemories() if family == "ice40" else None
    return allow_collisions(rtlil(component, platform=platform))


def cell_models(family: str) -> str:
    """Return Yosys' simulation models of all cells of a family, without timing."""
    return _TIMING.sub("", _OUTLINE.sub("", _included(yosys.share() / family, "cells_sim.v")))


def _included(folder: Path, name: str) -> str:
    return re.sub(r'`include "([^"]+)"', lambda found: _included(folder, found[1]), (folder / name).read_text())
