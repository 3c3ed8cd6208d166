"""Reading of Yosys' and nextpnr's reports; an unreadable report or a missing clock is an error, never a pass."""

import json
import math
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.spec.errors import ToolError
from ninefold.spec.manifest import Step, Usage

__all__ = [
    "ReportError",
    "Resources",
    "Step",
    "cells",
    "clocks",
    "core_cells",
    "critical_path",
    "fmax_mhz",
    "kinds",
    "load",
    "resources",
    "statistics",
    "utilization",
]

_NEXTPNR = "nextpnr's report.json"
_YOSYS = "Yosys' stat.json"

#: Cell types in names that Yosys derives from the nearest named signal: ``gap_LUT4_A_Z`` is a LUT near ``gap``.
_CELLS = (
    "LUT[1-4]|CCU2C|PFUMX|L6MUX21|TRELLIS_[A-Z0-9]+|DP16KD|PDPW16KD|MULT18X18D"
    "|SB_(?:LUT4|CARRY|DFF[A-Z]*|RAM40_4K|SPRAM256KA|MAC16)"
    "|ALU|MUX2_LUT[5-8]|DFF[A-Z]*|RAM16SDP4|S?DPX?9?B?|SPX?9?"
)
_DERIVED = re.compile(f"_(?:{_CELLS})(?:_.*|$)")
#: Suffix of a register's cell name, from Yosys and from packing by nextpnr.
_STORED = re.compile(r"_(?:TRELLIS_FF|SB_DFF[A-Z]*|DFF[A-Z]*)_Q(?:_\d+)?(?:_DFFLC|_LC)?$")
#: Additions by nextpnr to the names of nets buffered at a pad or placed on the global network.
_BUFFERED = re.compile(r"^\$glbnet\$|(?:\$(?:SB|TRELLIS)_IO_IN|_IBUF_I_O|_\$glb_clk)+$")
#: Clock pad of a domain, as added by Amaranth's platform.
_DOMAIN = re.compile(r"(?:^|.*\.)cd_(?P<domain>\w+?)[._](?:\w*_)?_io$")


class ReportError(ToolError):
    """Missing, damaged or incomplete report of a tool that reported no failure; the message names the field."""


#: Family -> resource -> types of Yosys cells that count as the resource.
_COUNTED: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "ecp5": {
        "lut4": re.compile("LUT4"),
        "ff": re.compile("TRELLIS_FF"),
        "block_ram": re.compile("DP16KD|PDPW16KD"),
        "lut_ram": re.compile("TRELLIS_DPR16X4"),
        "dsp": re.compile("MULT18X18D"),
    },
    "ice40": {
        "lut4": re.compile("SB_LUT4"),
        "ff": re.compile("SB_DFF[A-Z]*"),
        "block_ram": re.compile("SB_RAM40_4K[A-Z]*"),
        "spram": re.compile("SB_SPRAM256KA"),
        "dsp": re.compile("SB_MAC16"),
    },
    "gowin": {
        "lut4": re.compile("LUT[1-4]"),
        "alu": re.compile("ALU"),
        "ff": re.compile("DFF[A-Z]*"),
        "block_ram": re.compile("(?:SP|SPX9|SDPB|SDPX9B|DPB|DPX9B|pROM|pROMX9)"),
        "lut_ram": re.compile("RAM16S[A-Z]*[0-9]*"),
        "dsp": re.compile("MULT(?:ALU)?[0-9X]+|MULTADDALU[0-9X]+|PADD[0-9]+"),
    },
}


@dataclass(frozen=True)
class Resources:
    """Cells used by a core; 0 for cells that the device family does not have.

    Attributes
    ----------
    lut4 : int
        Yosys' cells of up to four inputs (LUT4, SB_LUT4, LUT1 to LUT4).
    trellis_comb : int
        ECP5: cells packed by nextpnr, that is LUT4 cells, two cells per pair of carry bits, and distributed RAM.
    ff : int
        Flip-flops.
    block_ram : int
        Block RAMs (DP16KD and PDPW16KD, SB_RAM40_4K, Gowin's with 16 or 18 kbit).
    lut_ram : int
        ECP5 and Gowin: distributed RAMs of 16 x 4 bits.
    dsp : int
        Multipliers (MULT18X18D, SB_MAC16, Gowin's).
    alu : int
        Gowin: bits of carry chains, each of which uses the place of a LUT.
    spram : int
        iCE40: single-port RAMs of 256 kbit (SB_SPRAM256KA).
    """

    lut4: int
    trellis_comb: int
    ff: int
    block_ram: int
    lut_ram: int
    dsp: int
    alu: int = 0
    spram: int = 0


def statistics(path: Path) -> dict[str, Any]:
    """Return the statistics written by Yosys' ``stat -json``, after checking the counts of each module.

    Raises
    ------
    ReportError
        The file is missing or does not contain the counts.
    """
    found: dict[str, Any] = _object(_json(path, _YOSYS), _YOSYS)
    _modules(found)
    return found


def resources(
    statistics: Mapping[str, Any], report: Mapping[str, Any], absorbed: int = 0, family: str = "ecp5"
) -> Resources:
    """Return the resources of the core, from ``stat -json`` and nextpnr's report of harness and core.

    Yosys counts the core separately. On ECP5, nextpnr packs each LUT4 of the harness, which has no carries and no RAM,
    as one cell; all other cells belong to the core. `absorbed` is the number of flip-flops moved into block RAM after
    Yosys counted.

    Raises
    ------
    ReportError
        Yosys' counts lack the core, or nextpnr's report for ECP5 lacks TRELLIS_COMB.
    """
    found = {"trellis_comb": 0, **core_cells(statistics, absorbed, family)}
    if family == "ecp5":
        used = utilization(report).get("TRELLIS_COMB")
        if used is None:
            raise ReportError(f"utilization of {_NEXTPNR} has no used TRELLIS_COMB")
        top = _field(_modules(statistics), "top", f"modules of {_YOSYS}")
        found["trellis_comb"] = used.used - top.get("LUT4", 0)
    return Resources(**found)


def core_cells(statistics: Mapping[str, Any], absorbed: int = 0, family: str = "ecp5") -> dict[str, int]:
    """Return the cells of the core in a harness, from ``stat -json`` alone: `Resources` without ``trellis_comb``.

    Raises
    ------
    ReportError
        Yosys' counts lack the core.
    """
    return kinds(_field(_modules(statistics), "top.core", f"modules of {_YOSYS}"), absorbed, family)


def kinds(cells: Mapping[str, int], absorbed: int, family: str) -> dict[str, int]:
    """Return the number of cells of each kind, such as ``lut4``, from the number of each type; see `core_cells`."""
    found = dict.fromkeys(("lut4", "ff", "block_ram", "lut_ram", "dsp"), 0)
    for name, pattern in _COUNTED[family].items():
        found[name] = sum(count for cell, count in cells.items() if pattern.fullmatch(cell))
    found["ff"] -= absorbed
    return found


def load(path: Path, expected: Collection[str]) -> dict[str, Any]:
    """Return nextpnr's report, after checking all parts that this module reads.

    Parameters
    ----------
    path : Path
        The file.
    expected : collection of str
        Names of the clocks of the design; see `clocks`.

    Raises
    ------
    ReportError
        The file is missing or not a report, a clock or a path is missing, or a value is not a number.
    """
    report: dict[str, Any] = _object(_json(path, _NEXTPNR), _NEXTPNR)
    clocks(report, expected)
    utilization(report)
    critical_path(report)
    return report


def cells(path: Path) -> dict[str, int]:
    """Return the number of cells of each type in a design, from the output of Yosys' ``stat -json``.

    Raises
    ------
    ReportError
        The file is missing or does not hold the counts.
    """
    design = _field(_object(_json(path, _YOSYS), _YOSYS), "design", _YOSYS)
    return _counts(_object(design, f"design of {_YOSYS}"), f"design of {_YOSYS}")


def fmax_mhz(report: Mapping[str, Any]) -> float:
    """Return the post-route frequency of the slowest clock in MHz; errors are as in `clocks`."""
    return min(_achieved(report).values())


def clocks(report: Mapping[str, Any], expected: Collection[str] = ()) -> dict[str, float]:
    """Return the post-route frequency of each clock in MHz, by the name of its net.

    nextpnr renames buffered nets, and may use a net's name at any level of the hierarchy. A net is therefore taken as
    an `expected` clock if the last parts of their names are equal; of several such nets, the slowest counts.

    Raises
    ------
    ReportError
        No clock is reported, an expected clock is missing, or a frequency is not a number above 0.
    """
    by_last = {_last(name): name for name in expected}
    found: dict[str, float] = {}
    for net, achieved in _achieved(report).items():
        name = _clock(net)
        name = by_last.get(_last(name), name)
        found[name] = min(round(achieved, 2), found.get(name, math.inf))
    if missing := [name for name in expected if name not in found]:
        raise ReportError(
            f"{_NEXTPNR} gives no frequency for the clock {', '.join(missing)}; it names {', '.join(found)}"
        )
    return found


def utilization(report: Mapping[str, Any]) -> dict[str, Usage]:
    """Return the number of used and available cells of each kind that is used.

    Raises
    ------
    ReportError
        A count is missing or not an integer of at least 0.
    """
    found = {}
    for kind, count in _object(_field(report, "utilization", _NEXTPNR), f"utilization of {_NEXTPNR}").items():
        where = f"utilization.{kind} of {_NEXTPNR}"
        used, available = (_count(_field(count, key, where), f"{key} of {where}") for key in ("used", "available"))
        if used:
            found[kind] = Usage(used, available)
    return found


def critical_path(report: Mapping[str, Any], prefix: str = "core.") -> tuple[Step, ...]:
    """Return the slowest path from register to register of one clock, in names of the core's signals.

    Parameters
    ----------
    report : mapping
        Report of nextpnr.
    prefix : str
        Prefix to remove from the names of the core's signals.

    Raises
    ------
    ReportError
        No such path exists, a path has no steps, or a delay is not a number.
    """
    slowest = max(_paths(report), key=lambda hops: sum(hop["delay"] for hop in hops))
    steps = []
    logic = 0.0
    for hop in slowest:
        # Wires within a carry chain or a wide multiplexer have no delay and no name in the source.
        if hop["type"] == "routing" and hop["delay"] > 0:
            steps.append(Step(_signal(hop["net"], prefix), round(logic, 3), round(hop["delay"], 3)))
            logic = 0.0
        else:
            logic += hop["delay"]
    if logic < 0:
        raise ReportError(f"the logic at the end of the slowest path of {_NEXTPNR} has a negative delay, {logic:g} ns")
    end = slowest[-1]["to"]
    target = _signal(_STORED.sub("", end["cell"]), prefix) + (
        f" ({end['port']})" if end["port"] in {"CE", "LSR"} else ""
    )
    return (*steps, Step(target, round(logic, 3), 0.0))


def _paths(report: Mapping[str, Any]) -> Iterable[list[dict[str, Any]]]:
    """Return the hops of each path from a clock to the same clock."""
    where = f"critical_paths of {_NEXTPNR}"
    found = []
    for index, path in enumerate(_list(_field(report, "critical_paths", _NEXTPNR), where)):
        here = f"critical_paths[{index}] of {_NEXTPNR}"
        if _text(_field(path, "from", here), f"from of {here}") == _text(_field(path, "to", here), f"to of {here}"):
            hops = _list(_field(path, "path", here), f"path of {here}")
            if not hops:
                raise ReportError(f"path of {here} must have a step, not none")
            for number, hop in enumerate(hops):
                _check_hop(hop, f"path[{number}] of {here}")
            found.append(hops)
    if not found:
        raise ReportError(f"{where} must contain a path between registers of the same clock")
    return found


def _check_hop(hop: Any, where: str) -> None:
    kind = _text(_field(hop, "type", where), f"type of {where}")
    # The setup time of some registers is negative.
    _number(_field(hop, "delay", where), f"delay of {where}", None if kind == "setup" else 0)
    end = _field(hop, "to", where)
    for key in ("cell", "port"):
        _text(_field(end, key, f"to of {where}"), f"{key} of to of {where}")
    if kind == "routing":
        _text(_field(hop, "net", where), f"net of {where}")


def _achieved(report: Mapping[str, Any]) -> dict[str, float]:
    nets = _object(_field(report, "fmax", _NEXTPNR), f"fmax of {_NEXTPNR}")
    if not nets:
        raise ReportError(f"fmax of {_NEXTPNR} must contain the clocks of the design, but is empty")
    found = {}
    for net, clock in nets.items():
        where = f"the clock {_clock(net)} in {_NEXTPNR}"
        value = _number(_field(clock, "achieved", where), f"achieved of {where}", 0)
        if not value:
            raise ReportError(f"achieved of {where} must be a number above 0, not 0")
        found[net] = value
    return found


def _clock(net: str) -> str:
    """Return the name in the design of a clock net."""
    name = _BUFFERED.sub("", _BUFFERED.sub("", net))
    domain = _DOMAIN.fullmatch(name)
    if domain is None:
        return name
    return "clk" if domain["domain"] == "sync" else f"{domain['domain']}_clk"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _signal(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    derived = _DERIVED.sub("", name)
    return name if derived == name else f"near {derived}"


def _modules(statistics: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the number of cells of each type in each module."""
    modules = _object(_field(statistics, "modules", _YOSYS), f"modules of {_YOSYS}")
    return {name.lstrip("\\"): _counts(module, f"modules.{name} of {_YOSYS}") for name, module in modules.items()}


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ReportError(f"{what} was not written") from None
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{what} is not JSON: {error}") from error


def _field(holder: Any, name: str, where: str) -> Any:
    if name not in _object(holder, where):
        raise ReportError(f"{where} has no {name}")
    return holder[name]


def _object(value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ReportError(f"{where} must be an object, not {value!r:.80}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ReportError(f"{where} must be a list, not {value!r:.80}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ReportError(f"{where} must be a text, not {value!r:.80}")
    return value


def _number(value: Any, where: str, least: float | None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ReportError(f"{where} must be a number, not {value!r:.80}")
    if least is not None and value < least:
        raise ReportError(f"{where} must be a number from {least}, not {value!r:.80}")
    return float(value)


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ReportError(f"{where} must be an integer from 0, not {value!r:.80}")
    return value


def _counts(holder: Any, where: str) -> dict[str, int]:
    counted = _object(_field(holder, "num_cells_by_type", where), f"num_cells_by_type of {where}")
    return {cell: _count(count, f"num_cells_by_type.{cell} of {where}") for cell, count in counted.items()}
