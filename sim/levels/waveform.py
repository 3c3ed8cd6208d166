"""Value change dumps of a netlist and its RTL, and the registers that differ first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PERIOD_NS", "Differing", "differing", "registers"]

#: Clock cycle in a waveform.
PERIOD_NS = 10
#: Scopes that enclose the signals of the top module.
_AROUND = 1


@dataclass(frozen=True)
class Differing:
    """Registers in which two waveforms differ first.

    Attributes
    ----------
    cycle : int
        Clock cycle; the registers differ after its rising edge.
    signals : tuple of str
        Names of the registers, with the bit index if wider than one bit.
    """

    cycle: int
    signals: tuple[str, ...]


def registers(netlist: str) -> list[tuple[str, int]]:
    """Return name and bit of each flip-flop in a netlist (Verilog from Yosys) that has a name in the RTL."""
    found = re.findall(r"\.Q\((?:\\(\S+) |([A-Za-z]\w*))(?: ?\[(\d+)\])?\)", netlist)
    return [(escaped or plain, int(bit or 0)) for escaped, plain, bit in found]


def differing(first: Path, second: Path, bits: Iterable[tuple[str, int]]) -> Differing | None:
    """Compare registers in two waveforms of the same cycles, after each rising edge.

    Parameters
    ----------
    first, second : Path
        VCD files.
    bits : iterable of (str, int)
        Registers as returned by `registers`; those missing from a file are skipped.

    Returns
    -------
    Differing or None
        The first difference; None if there is none.
    """
    ours, theirs = _names(first), _names(second)
    common = [(name, bit, ours[name], theirs[name]) for name, bit in bits if name in ours and name in theirs]
    for (cycle, one), (_, other) in zip(_edges(first), _edges(second), strict=False):
        found = [
            f"{name}[{bit}]" if width > 1 else name
            for name, bit, (code, width), (other_code, _) in common
            if _bit(one[code], bit) != _bit(other[other_code], bit)
        ]
        if found:
            return Differing(cycle, tuple(sorted(found)))
    return None


def _bit(value: str, bit: int) -> str:
    """Return a bit of a binary number written without leading zeros."""
    return value[-1 - bit] if bit < len(value) else "0"


def _names(path: Path) -> dict[str, tuple[str, int]]:
    """Return code and width of each signal by its name, prefixed by its submodules and dots."""
    found: dict[str, tuple[str, int]] = {}
    scope: list[str] = []
    with path.open() as lines:
        for line in lines:
            words = line.split()
            if words[:1] == ["$scope"]:
                scope.append(words[2])
            elif words[:1] == ["$upscope"]:
                scope.pop()
            elif words[:1] == ["$var"] and len(scope) >= _AROUND:
                name = ".".join([*scope[_AROUND:], words[4]]).replace("\\", "")
                found[name] = (words[3], int(words[2]))
            elif words[:1] == ["$enddefinitions"]:
                break
    return found


def _edges(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the values by code after each rising edge, with the number of the cycle that it ends."""
    values: dict[str, str] = {}
    time: int | None = None
    with path.open() as lines:
        for line in lines:
            if line.startswith("$enddefinitions"):
                break
        for line in lines:
            if line[0] == "#":
                if time is not None and time % PERIOD_NS:
                    yield time // PERIOD_NS, values
                time = int(line[1:])
            elif line[0] in "01":
                values[line[1:-1]] = line[0]
            elif found := re.match(r"b([01]+) (\S+)", line):
                values[found[2]] = found[1].lstrip("0")
    if time is not None and time % PERIOD_NS:
        yield time // PERIOD_NS, values
