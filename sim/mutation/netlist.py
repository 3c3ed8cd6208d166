"""Netlist of a core with all mutants of a sample, one of which is active at a time."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from ninefold.hdl import yosys
from ninefold.hdl.catalogue import CatalogueEntry, find_core
from ninefold.hdl.elaborate import uncollected
from ninefold.hdl.foreign import linked
from ninefold.sim.cores import tested
from ninefold.spec.cache import BuildCache, digest_of

__all__ = [
    "INDEX_BITS",
    "INDEX_FILE",
    "Netlist",
    "Port",
    "device",
    "flat",
    "lines_of",
    "mutations",
    "ports_of",
    "run_yosys",
    "selected",
    "unclocked_memories",
]

#: File in the simulation folder with the number of the active mutant, in hexadecimal; 0 for none.
INDEX_FILE: Final = "mutant.hex"
#: Bits of the input ``mutant``.
INDEX_BITS: Final = 16

#: More mutations than any netlist has.
_MOST: Final = 2**30

# Notes on removed hierarchies would use up cell names.
_FLAT = "read_rtlil top.il; prep -flatten -top top; delete t:$scopeinfo; write_rtlil flat.il"
_MODULE = re.compile(r"^module device\((.*?)\);(.*?)^endmodule", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"((?:^  attribute .*\n)*)^  cell \S+ (\S+)\n((?:^    .*\n)*)", re.MULTILINE)
_TOP = """module top({names});
  {declarations}
  reg [{bits}:0] index [0:0];
  initial $readmemh("{file}", index);
  device device({connections}, .mutant(index[0]));
endmodule
"""


@dataclass(frozen=True)
class Netlist:
    """Core as Yosys' cells, without hierarchy.

    Attributes
    ----------
    text : str
        RTLIL with the module ``top``; source paths are relative to the folder of their package.
    digest : str
        Digest of the text without source lines, so that it is stable when lines move.
    """

    text: str
    digest: str


@dataclass(frozen=True)
class Port:
    """Port of a module: name, direction and width."""

    name: str
    is_input: bool
    bits: int


def flat(core: str, parameters: Mapping[str, Any]) -> Netlist:
    """Return the netlist of a core.

    Raises
    ------
    InputError
        The core is unknown, or a parameter is not allowed.
    UnavailableError
        Yosys is not installed.
    ToolError
        Yosys failed.
    """
    from amaranth.back import rtlil

    component = tested(core, parameters)
    with uncollected():
        text = _relative(str(rtlil.convert(component, name="top", emit_src=True)), find_core(core))
    text = linked(text)
    version = yosys.version()

    def build(folder: Path) -> None:
        run_yosys(folder, _FLAT, **{"top.il": text})

    made = (BuildCache("mutation-netlists").get(digest_of(text, _FLAT, version), build) / "flat.il").read_text()
    # The first line names the version of Yosys.
    return Netlist(made, digest_of(re.sub(r"^(?:#|\s*attribute \\src ).*\n", "", made, flags=re.MULTILINE)))


def mutations(netlist: Netlist, seed: int, size: int) -> list[str]:
    """Draw mutations of a netlist, as options of ``mutate -mode`` without module and source.

    A small netlist may have fewer.
    """
    # Yosys never ends if asked for most of the mutations that exist; asked for more than all, it lists all.
    pins = sum(body.count("connect") for _, _, body in _CELL.findall(netlist.text))
    every = 3 * pins < 4 * size
    script = f"read_rtlil flat.il; mutate -list {_MOST if every else size} -seed {seed} -o list.txt"

    def build(folder: Path) -> None:
        run_yosys(folder, script, **{"flat.il": netlist.text})

    version = yosys.version()
    listed = (
        BuildCache("mutation-lists").get(digest_of(netlist.text, script, version), build) / "list.txt"
    ).read_text()
    found = [re.sub(r"^mutate -mode | -module \S+| -src \S+", "", line) for line in listed.splitlines()]
    drawn = [options for options in found if not options.startswith("none")]
    return Random(seed).sample(drawn, min(size, len(drawn))) if every else drawn  # noqa: S311


def device(netlist: Netlist, options: Sequence[str]) -> str:
    """Return the netlist as Verilog with all of these mutations in it.

    The module ``top`` has the ports of the core. Which mutant is alive is read from ``INDEX_FILE`` at time 0, where 1
    is the first.
    """
    applied = [
        f"mutate -mode {text} -module top -ctrl mutant {INDEX_BITS} {number}" for number, text in enumerate(options, 1)
    ]
    script = "\n".join(["read_rtlil flat.il", *applied, "rename top device", "write_verilog -noattr device.v"])
    version = yosys.version()

    def build(folder: Path) -> None:
        run_yosys(folder, script, **{"flat.il": netlist.text})

    text = (BuildCache("mutants").get(digest_of(netlist.text, script, version), build) / "device.v").read_text()
    return selected(text)


def selected(text: str) -> str:
    """Return Verilog of a module ``device`` with a ``top`` around it, which sets its input ``mutant``.

    Which mutant is alive is read from ``INDEX_FILE`` at time 0; 0 is none.
    """
    ports = [port for port in ports_of(text) if port.name != "mutant"]
    return text + _TOP.format(
        names=", ".join(port.name for port in ports),
        declarations="\n  ".join(map(_declaration, ports)),
        bits=INDEX_BITS - 1,
        file=INDEX_FILE,
        connections=", ".join(f".{port.name}({port.name})" for port in ports),
    )


def lines_of(netlist: Netlist) -> dict[str, str]:
    """Return the source line of each cell, as ``hdl/cores/topk.py:58``.

    A multiplexer that Yosys made from a statement has no line. It gets the line of the next cell after it that has one,
    usually the register of the statement.
    """
    places: dict[str, str] = {}
    outputs: dict[str, str] = {}
    readers: dict[str, list[str]] = {}
    for attributes, name, body in _CELL.findall(netlist.text):
        found = re.search(r'\\src "([^"]*)"', attributes)
        # Amaranth's code for an FSM is attributed to Python's standard library.
        near = [place for place in (found[1] if found else "").split("|") if place and not place.startswith("/")]
        if near:
            places[name] = next((place for place in near if place.startswith("hdl/")), near[0])
        for port, signal in re.findall(r"connect \\(\w+) (.*)", body):
            for wire in re.findall(r"[\\$][^\s{}]+", signal):
                if port in ("Y", "Q"):
                    outputs[name] = wire
                else:
                    readers.setdefault(wire, []).append(name)
    for name in outputs:
        waiting, seen = [name], {name}
        while waiting and name not in places:
            behind = [
                reader for one in waiting for reader in readers.get(outputs.get(one, ""), []) if reader not in seen
            ]
            known = [places[one] for one in behind if one in places]
            if known:
                places[name] = known[0]
            seen.update(behind)
            waiting = behind
    return {name.removeprefix("\\"): place for name, place in places.items()}


def ports_of(verilog: str) -> list[Port]:
    """Return the ports of the module ``device`` in Verilog from Yosys."""
    module = _MODULE.search(verilog)
    if module is None:
        raise ValueError("no module device")
    ports = []
    for name in dict.fromkeys(name.strip() for name in module[1].split(",")):
        found = re.search(rf"^\s*(input|output)\s+(?:\[(\d+):0\]\s+)?{name}\s*;", module[2], re.MULTILINE)
        if found is None:
            raise ValueError(f"port {name} is not declared")
        ports.append(Port(name, found[1] == "input", int(found[2] or 0) + 1))
    return ports


def unclocked_memories(netlist: Netlist) -> frozenset[str]:
    """Return the names of the memories with a read port that has no clock."""
    cells = re.findall(r"^  cell \$mem_v2 (\S+)\n((?:^    .*\n)*)", netlist.text, re.MULTILINE)
    return frozenset(name.removeprefix("\\") for name, body in cells if re.search(r"\\RD_CLK_ENABLE \d+'[01]*0", body))


def run_yosys(folder: Path, script: str, **files: str) -> None:
    """Run a script of Yosys on these files, and leave only what it wrote."""
    for name, text in files.items():
        (folder / name).write_text(text)
    yosys.run(script, folder)
    for name in files:
        (folder / name).unlink()


def _declaration(port: Port) -> str:
    kind = "input" if port.is_input else "output"
    return f"{kind} {port.name};" if port.bits == 1 else f"{kind} [{port.bits - 1}:0] {port.name};"


def _relative(text: str, entry: CatalogueEntry) -> str:
    """Make places in sources relative to the folder of their package: ``hdl/...``, ``amaranth/...``, or the core's."""
    import amaranth

    from ninefold import hdl

    roots = [Path(str(package.__file__)).parents[1] for package in (amaranth, hdl)]
    if not entry.own:
        roots.append(Path(str(sys.modules[entry.module].__file__)).parents[entry.module.count(".")])
    # One folder may be inside the other.
    for root in sorted(roots, key=lambda root: -len(str(root))):
        text = re.sub(rf"(?<=[\"|]){re.escape(str(root))}/", "", text)
    return text
