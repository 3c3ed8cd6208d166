"""Reading the reports of Yosys and nextpnr."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ninefold.spec.manifest import Step, Usage

__all__ = ["Resources", "Step", "clocks", "critical_path", "fmax_mhz", "resources", "utilization"]

#: Yosys names what has no name after the nearest signal that has one: ``gap_LUT4_A_Z`` is a LUT near ``gap``.
_CELLS = (
    "LUT[1-4]|CCU2C|PFUMX|L6MUX21|TRELLIS_[A-Z0-9]+|DP16KD|PDPW16KD|MULT18X18D"
    "|SB_(?:LUT4|CARRY|DFF[A-Z]*|RAM40_4K|SPRAM256KA|MAC16)"
    "|ALU|MUX2_LUT[5-8]|DFF[A-Z]*|RAM16SDP4|S?DPX?9?B?|SPX?9?"
)
_DERIVED = re.compile(f"_(?:{_CELLS})(?:_.*|$)")
#: Of the cell that keeps a signal, as Yosys names it and nextpnr packs it.
_STORED = re.compile(r"_(?:TRELLIS_FF|SB_DFF[A-Z]*|DFF[A-Z]*)_Q(?:_\d+)?(?:_DFFLC|_LC)?$")


@dataclass(frozen=True)
class Resources:
    """What a core takes of an ECP5.

    Attributes
    ----------
    lut4 : int
        Yosys' LUT4 cells.
    trellis_comb : int
        nextpnr's packed cells: LUT4 cells, two for each pair of carry bits, and those of distributed RAM.
    ff : int
        Flip-flops.
    block_ram : int
        Block RAMs (DP16KD, PDPW16KD).
    lut_ram : int
        Distributed RAMs of 16 x 4 bits.
    dsp : int
        Multipliers (MULT18X18D).
    """

    lut4: int
    trellis_comb: int
    ff: int
    block_ram: int
    lut_ram: int
    dsp: int


def resources(statistics: Mapping[str, Any], report: Mapping[str, Any], absorbed: int = 0) -> Resources:
    """Return what the core takes, from ``stat -json`` of harness and core and from nextpnr's report of both.

    Yosys counts the core by itself. nextpnr packs each LUT4 of the harness, which has no carries and no RAM, as one
    cell; the rest is the core's. So many flip-flops were `absorbed` by block RAM after Yosys had counted.
    """
    cells: dict[str, dict[str, int]] = {
        name.lstrip("\\"): module["num_cells_by_type"] for name, module in statistics["modules"].items()
    }
    core = cells["top.core"]
    packed = report["utilization"]["TRELLIS_COMB"]["used"] - cells["top"].get("LUT4", 0)
    return Resources(
        lut4=core.get("LUT4", 0),
        trellis_comb=packed,
        ff=core.get("TRELLIS_FF", 0) - absorbed,
        block_ram=core.get("DP16KD", 0) + core.get("PDPW16KD", 0),
        lut_ram=core.get("TRELLIS_DPR16X4", 0),
        dsp=core.get("MULT18X18D", 0),
    )


def fmax_mhz(report: Mapping[str, Any]) -> float:
    """Return the post-route frequency of the slowest clock in MHz."""
    return float(min(clock["achieved"] for clock in report["fmax"].values()))


def clocks(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the post-route frequency of each clock in MHz, by the name of its net."""
    return {name.removeprefix("$glbnet$"): round(clock["achieved"], 2) for name, clock in report["fmax"].items()}


def utilization(report: Mapping[str, Any]) -> dict[str, Usage]:
    """Return how many cells of each kind are used, for all kinds of which one is."""
    cells = report["utilization"].items()
    return {kind: Usage(count["used"], count["available"]) for kind, count in cells if count["used"]}


def critical_path(report: Mapping[str, Any], prefix: str = "core.") -> tuple[Step, ...]:
    """Return the slowest path from register to register of one clock, in names of the core's signals.

    Parameters
    ----------
    report : mapping
        nextpnr's.
    prefix : str
        What the names of the core's signals begin with, which is left out.
    """
    paths = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    slowest = max(paths, key=lambda path: sum(hop["delay"] for hop in path["path"]))
    steps = []
    logic = 0.0
    for hop in slowest["path"]:
        # Within a carry chain or a wide multiplexer wires take no time and have no names of ours.
        if hop["type"] == "routing" and hop["delay"] > 0:
            steps.append(Step(_signal(hop["net"], prefix), round(logic, 3), round(hop["delay"], 3)))
            logic = 0.0
        else:
            logic += hop["delay"]
    end = slowest["path"][-1]["to"]
    target = _signal(_STORED.sub("", end["cell"]), prefix) + (
        f" ({end['port']})" if end["port"] in {"CE", "LSR"} else ""
    )
    return (*steps, Step(target, round(logic, 3), 0.0))


def _signal(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    derived = _DERIVED.sub("", name)
    return name if derived == name else f"near {derived}"
