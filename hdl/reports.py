"""Reading the reports of Yosys and nextpnr; one that cannot be read, or lacks a clock, is an error and never a pass."""

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
    "critical_path",
    "fmax_mhz",
    "load",
    "resources",
    "statistics",
    "utilization",
]

_NEXTPNR = "nextpnr's report.json"
_YOSYS = "Yosys' stat.json"

#: Yosys names what has no name after the nearest signal that has one: ``gap_LUT4_A_Z`` is a LUT near ``gap``.
_CELLS = (
    "LUT[1-4]|CCU2C|PFUMX|L6MUX21|TRELLIS_[A-Z0-9]+|DP16KD|PDPW16KD|MULT18X18D"
    "|SB_(?:LUT4|CARRY|DFF[A-Z]*|RAM40_4K|SPRAM256KA|MAC16)"
    "|ALU|MUX2_LUT[5-8]|DFF[A-Z]*|RAM16SDP4|S?DPX?9?B?|SPX?9?"
)
_DERIVED = re.compile(f"_(?:{_CELLS})(?:_.*|$)")
#: Of the cell that keeps a signal, as Yosys names it and nextpnr packs it.
_STORED = re.compile(r"_(?:TRELLIS_FF|SB_DFF[A-Z]*|DFF[A-Z]*)_Q(?:_\d+)?(?:_DFFLC|_LC)?$")
#: What nextpnr adds to the name of a net that it buffers at a pad or puts on the global network.
_BUFFERED = re.compile(r"^\$glbnet\$|(?:\$(?:SB|TRELLIS)_IO_IN|_IBUF_I_O|_\$glb_clk)+$")
#: The pad of the clock of a domain that Amaranth's platform adds.
_DOMAIN = re.compile(r"(?:^|.*\.)cd_(?P<domain>\w+?)[._](?:\w*_)?_io$")


class ReportError(ToolError):
    """A tool ended without a failure, and its report is missing, damaged or incomplete; the message names the field."""


#: Yosys' cells that count as each resource of a family of devices.
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
    """Cells that a core takes of a device; 0 for cells that its family does not have.

    Attributes
    ----------
    lut4 : int
        Yosys' cells of up to four inputs (LUT4, SB_LUT4, LUT1 to LUT4).
    trellis_comb : int
        ECP5: nextpnr's packed cells: LUT4 cells, two for each pair of carry bits, and cells of distributed RAM.
    ff : int
        Flip-flops.
    block_ram : int
        Block RAMs (DP16KD and PDPW16KD, SB_RAM40_4K, Gowin's with 16 or 18 kbit).
    lut_ram : int
        ECP5 and Gowin: distributed RAMs of 16 x 4 bits.
    dsp : int
        Multipliers (MULT18X18D, SB_MAC16, Gowin's).
    alu : int
        Gowin: bits of carry chains, each in the place of a LUT.
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
    """Return the statistics that Yosys' ``stat -json`` wrote, once the counts of each module were found sound.

    Raises
    ------
    ReportError
        The file is missing or does not hold the counts.
    """
    found: dict[str, Any] = _object(_json(path, _YOSYS), _YOSYS)
    _modules(found)
    return found


def resources(
    statistics: Mapping[str, Any], report: Mapping[str, Any], absorbed: int = 0, family: str = "ecp5"
) -> Resources:
    """Return what the core takes, from ``stat -json`` of harness and core and from nextpnr's report of both.

    Yosys counts the core by itself. On ECP5 nextpnr packs each LUT4 of the harness, which has no carries and no RAM, as
    one cell; the rest is the core's. Block RAM `absorbed` this number of flip-flops after Yosys had counted.

    Raises
    ------
    ReportError
        Yosys counted no core, or nextpnr no TRELLIS_COMB on ECP5.
    """
    counted = _modules(statistics)
    core = _field(counted, "top.core", f"modules of {_YOSYS}")
    found = dict.fromkeys(("lut4", "trellis_comb", "ff", "block_ram", "lut_ram", "dsp"), 0)
    for name, pattern in _COUNTED[family].items():
        found[name] = sum(count for cell, count in core.items() if pattern.fullmatch(cell))
    found["ff"] -= absorbed
    if family == "ecp5":
        used = utilization(report).get("TRELLIS_COMB")
        if used is None:
            raise ReportError(f"utilization of {_NEXTPNR} has no TRELLIS_COMB that is used")
        found["trellis_comb"] = used.used - _field(counted, "top", f"modules of {_YOSYS}").get("LUT4", 0)
    return Resources(**found)


def load(path: Path, expected: Collection[str]) -> dict[str, Any]:
    """Return nextpnr's report, once all that this module reads of it was found sound.

    Parameters
    ----------
    path : Path
        The file.
    expected : collection of str
        Names of the clocks of the design; see `clocks`.

    Raises
    ------
    ReportError
        The file is missing or is no report, a clock or a path is missing, or a figure is not one.
    """
    report: dict[str, Any] = _object(_json(path, _NEXTPNR), _NEXTPNR)
    clocks(report, expected)
    utilization(report)
    critical_path(report)
    return report


def cells(path: Path) -> dict[str, int]:
    """Return how many cells of each type a design has, from the file that Yosys' ``stat -json`` wrote.

    Raises
    ------
    ReportError
        The file is missing or does not hold the counts.
    """
    design = _field(_object(_json(path, _YOSYS), _YOSYS), "design", _YOSYS)
    return _counts(_object(design, f"design of {_YOSYS}"), f"design of {_YOSYS}")


def fmax_mhz(report: Mapping[str, Any]) -> float:
    """Return the post-route frequency of the slowest clock in MHz; `clocks` says what is refused."""
    return min(_achieved(report).values())


def clocks(report: Mapping[str, Any], expected: Collection[str] = ()) -> dict[str, float]:
    """Return the post-route frequency of each clock in MHz, by the name of its net.

    nextpnr renames a net that it buffers, and may name it as any level of the hierarchy does. So a clock is one of the
    `expected` ones if the last parts of both names are the same; of several such nets the slowest counts.

    Raises
    ------
    ReportError
        No clock is reported, an expected one is not, or a frequency is not a number above 0.
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
    """Return how many cells of each kind are used, for all kinds of which one is.

    Raises
    ------
    ReportError
        A count is missing or is not an integer from 0.
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
        nextpnr's.
    prefix : str
        Prefix of the names of the core's signals, which is left out.

    Raises
    ------
    ReportError
        There is no such path, one has no steps, or a delay is not a number.
    """
    slowest = max(_paths(report), key=lambda hops: sum(hop["delay"] for hop in hops))
    steps = []
    logic = 0.0
    for hop in slowest:
        # Within a carry chain or a wide multiplexer wires take no time and have no names of ours.
        if hop["type"] == "routing" and hop["delay"] > 0:
            steps.append(Step(_signal(hop["net"], prefix), round(logic, 3), round(hop["delay"], 3)))
            logic = 0.0
        else:
            logic += hop["delay"]
    if logic < 0:
        raise ReportError(f"the logic at the end of the slowest path of {_NEXTPNR} takes {logic:g} ns")
    end = slowest[-1]["to"]
    target = _signal(_STORED.sub("", end["cell"]), prefix) + (
        f" ({end['port']})" if end["port"] in {"CE", "LSR"} else ""
    )
    return (*steps, Step(target, round(logic, 3), 0.0))


def _paths(report: Mapping[str, Any]) -> Iterable[list[dict[str, Any]]]:
    """Return the hops of each path within one clock."""
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
        raise ReportError(f"{where} must hold a path from register to register of a clock")
    return found


def _check_hop(hop: Any, where: str) -> None:
    kind = _text(_field(hop, "type", where), f"type of {where}")
    # Some registers have a setup time below 0.
    _number(_field(hop, "delay", where), f"delay of {where}", None if kind == "setup" else 0)
    end = _field(hop, "to", where)
    for key in ("cell", "port"):
        _text(_field(end, key, f"to of {where}"), f"{key} of to of {where}")
    if kind == "routing":
        _text(_field(hop, "net", where), f"net of {where}")


def _achieved(report: Mapping[str, Any]) -> dict[str, float]:
    nets = _object(_field(report, "fmax", _NEXTPNR), f"fmax of {_NEXTPNR}")
    if not nets:
        raise ReportError(f"fmax of {_NEXTPNR} must name the clocks of the design, and names none")
    found = {}
    for net, clock in nets.items():
        where = f"the clock {_clock(net)} in {_NEXTPNR}"
        value = _number(_field(clock, "achieved", where), f"achieved of {where}", 0)
        if not value:
            raise ReportError(f"achieved of {where} must be a number above 0, not 0")
        found[net] = value
    return found


def _clock(net: str) -> str:
    """Return the name in the design of the net of a clock."""
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
    """Return how many cells of each type each module has."""
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
