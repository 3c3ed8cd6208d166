"""Removal of memories and registers from a netlist, so that a proof covers only the logic between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ninefold.sim.mutation.netlist import Netlist, Port

__all__ = ["Cut", "cutpoints_of"]

_STATE = re.compile(r"^  cell (\$dff|\$mem_v2) (\S+)\n((?:^    .*\n)*)", re.MULTILINE)
#: Ports of a memory wider than one bit, and the parameter of their width.
_WIDTHS = {"ADDR": "ABITS", "DATA": "WIDTH", "WR_EN": "WIDTH", "D": "WIDTH", "Q": "WIDTH"}


@dataclass(frozen=True)
class Cut:
    """Cells cut out of a netlist.

    Attributes
    ----------
    commands : str
        Yosys commands that remove the cells from ``top`` and expose their pins as ports.
    pins : tuple of Port
        The exposed ports: outputs of registers and memories become inputs, their other pins become outputs.
    """

    commands: str
    pins: tuple[Port, ...]


def cutpoints_of(netlist: Netlist, cell: str) -> list[Cut]:
    """Return cuts of decreasing size, which keep the registers of none, then more, of the parts around a cell.

    All memories are cut out except those that are never written, which are logic.

    Parameters
    ----------
    netlist : Netlist
        The netlist.
    cell : str
        Name of the cell, prefixed by its parts.
    """
    names = _path(cell).split(".")[:-1]
    parts = ["".join(f"{name}." for name in names[:depth]) for depth in range(len(names), -1, -1)]
    cuts = [_cut(netlist, None), *(_cut(netlist, part) for part in parts)]
    return list(dict.fromkeys(cuts))


def _cut(netlist: Netlist, kept: str | None) -> Cut:
    """Cut all registers except those in a part of the netlist; its name ends in a dot."""
    commands, pins = ["cd top"], list[Port]()
    for number, (kind, name, body) in enumerate(_STATE.findall(netlist.text)):
        given = {key: int(value) for key, value in re.findall(r"parameter \\(\w+) (\d+)\n", body)}
        is_register = kind == "$dff"
        if is_register and kept is not None and _path(name).startswith(kept):
            continue
        if not is_register and not given["WR_PORTS"]:
            continue
        commands.append(f"rename {name} cut_{number}")
        for pin in re.findall(r"connect \\(\w+) ", body):
            width = _WIDTHS.get(pin, _WIDTHS.get(pin[3:], ""))
            ports = 1 if is_register else given[f"{pin[:2]}_PORTS"]
            pins.append(Port(f"cut_{number}__{pin}", pin in ("Q", "RD_DATA"), ports * given.get(width, 1)))
    commands += ["cd ..", "expose -evert -sep __ c:cut_*"]
    return Cut("\n".join(commands), tuple(pins))


def _path(cell: str) -> str:
    """Return the name of a cell, prefixed by its parts and dots."""
    return cell.removeprefix("$flatten").replace("\\", "")
