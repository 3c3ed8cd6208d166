"""Save files for GTKWave and Surfer that show the ports of the device under test."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from pathlib import Path

from ninefold.sim.waveforms.hierarchy import Header, Variable

__all__ = ["opening", "save_files", "write_save_files"]

#: Width in bits above which numbers are shown in hexadecimal.
_DECIMAL_BITS = 32
#: Width of a clock cycle in pixels when GTKWave opens the file.
_CYCLE_PIXELS = 40
_FRAME_PIXELS = 200
_PERIOD_PS = 10_000
_UNITS_PS = {"fs": 1e-3, "ps": 1, "ns": 1e3, "us": 1e6, "ms": 1e9, "s": 1e12}
#: Names of formats in the two viewers.
_SURFER = {"bin": "Bit", "dec": "Unsigned", "signed": "Signed", "hex": "Hexadecimal", "ascii": "String"}


@dataclass(frozen=True)
class _Group:
    """Ports of one stream, or, with an empty name, the ports of no stream."""

    name: str
    ports: tuple[tuple[str, Variable], ...]


def save_files(waveform: Path) -> tuple[Path, Path]:
    """Return the paths of a waveform's save files: GTKWave's save file and Surfer's command file."""
    return waveform.with_suffix(".gtkw"), waveform.with_suffix(".sucl")


def opening(waveform: Path) -> tuple[str, str]:
    """Return the command lines that open a waveform with its ports shown, in GTKWave and in Surfer."""
    gtkwave, surfer = save_files(waveform)
    commands = ["gtkwave", waveform, gtkwave], ["surfer", "-c", surfer, waveform]
    first, second = (shlex.join(map(str, command)) for command in commands)
    return first, second


def write_save_files(waveform: Path, header: Header) -> None:
    """Write the save files of a waveform into its folder."""
    groups = list(_groups(header))
    gtkwave, surfer = save_files(waveform)
    _write_gtkwave(gtkwave, waveform, header, groups)
    surfer.write_text(_surfer_commands(groups))


def _groups(header: Header) -> Iterator[_Group]:
    """Yield the ports of the top: first clock, reset and other ports without a stream, then each stream's ports."""
    top = header.root.scopes.get("top")
    if top is None:
        return
    streams: dict[str, list[tuple[str, Variable]]] = {"": []}
    for variable in top.ordered():
        if variable.declared.direction:
            name = variable.name
            stream, _, member = name.rpartition("__")
            ports = streams.setdefault(stream, [])
            ports.extend(top.leaves(name) if member == "payload" or not stream else [(name, variable)])
    for stream, ports in streams.items():
        if ports:
            yield _Group(stream, tuple(sorted(ports, key=_rank)))


def _rank(port: tuple[str, Variable]) -> int:
    """Return the rank of a port in its group: clock, reset, handshake, then payload."""
    order = ("clk", "rst", "valid", "ready")
    last = port[0].rpartition("__")[2]
    return order.index(last) if last in order else len(order)


def _format(variable: Variable, *, whole: bool) -> str:
    if variable.declared.names:
        return "ascii"
    if variable.width == 1:
        return "bin"
    if variable.declared.signed:
        return "signed"
    return "hex" if whole or variable.width > _DECIMAL_BITS else "dec"


def _formats(group: _Group) -> Iterator[tuple[str, Variable, str]]:
    for path, variable in group.ports:
        # The format of a payload without fields is unknown.
        yield path, variable, _format(variable, whole=path.endswith("__payload"))


def _write_gtkwave(path: Path, waveform: Path, header: Header, groups: list[_Group]) -> None:
    from vcd.gtkw import GTKWSave

    unit = header.timescale.lstrip("0123456789")
    unit_ps = int(header.timescale.removesuffix(unit)) * _UNITS_PS[unit]

    with path.open("w") as file:
        save = GTKWSave(file)
        save.dumpfile(str(waveform.absolute()))
        # GTKWave's zoom is the logarithm to base 2 of the frames of 200 pixels per unit of time.
        save.zoom_markers(log2(_CYCLE_PIXELS / _FRAME_PIXELS / (_PERIOD_PS / unit_ps)))
        save.treeopen("top.")
        for group in groups:
            if group.name:
                save.begin_group(group.name)
            for place, variable, shown in _formats(group):
                bits = f"[{variable.width - 1}:0]" if variable.width > 1 and shown != "ascii" else ""
                save.trace(f"top.{place}{bits}", alias=_alias(group, place), datafmt=shown)
            if group.name:
                save.end_group(group.name)


def _alias(group: _Group, place: str) -> str | None:
    return place.removeprefix(f"{group.name}__").removeprefix("payload.") if group.name else None


def _surfer_commands(groups: list[_Group]) -> str:
    lines: list[str] = []
    count = 0

    def item(command: str) -> None:
        nonlocal count
        lines.append(command)
        count += 1

    for group in groups:
        if group.name:
            item(f"divider_add {group.name}")
        for place, _, shown in _formats(group):
            item(f"variable_add top.{place}")
            # Surfer names an item by its index in hexadecimal, with the letters a to p as digits.
            letters = "".join("abcdefghijklmnop"[int(digit, 16)] for digit in f"{count - 1:x}")
            lines += [f"item_focus {letters}", f"item_set_format {_SURFER[shown]}"]
    return "\n".join([*lines, "item_unfocus", "zoom_fit", ""])
