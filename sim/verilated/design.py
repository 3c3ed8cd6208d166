"""Elaboration of cores to the Verilog text that Verilator compiles."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ninefold.hdl import yosys
from ninefold.sim.verilated.streams import Stream, streams_of
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.sources import sources_of

__all__ = ["Design", "design", "elaborate"]

#: Size in bits above which a memory becomes the behavioural module below. Amaranth writes out the initial value of
#: every bit, even if all are 0: for a store of 8,192 x 384 nits this takes 40 s, and another 40 s in Yosys.
_LARGE_MEMORY_BITS = 1 << 14

_MEMORY = """
/* A memory with one write port and one read port, both clocked; a word read while it is written is the old one. */
module ninefold_memory #(parameter WIDTH = 1, parameter DEPTH = 1, parameter ADDRESS = 1) (
    input clk,
    input write, input [ADDRESS-1:0] write_address, input [WIDTH-1:0] write_word,
    input read, input [ADDRESS-1:0] read_address, output reg [WIDTH-1:0] read_word
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    always @(posedge clk) begin
        if (write) words[write_address] <= write_word;
        if (read) read_word <= words[read_address];
    end
endmodule
"""


@dataclass(frozen=True)
class Design:
    """Verilog text of a core, with its streams.

    Attributes
    ----------
    verilog : str
        The text. The top module is ``top``, with clock ``clk`` and reset ``rst``.
    streams : tuple of Stream
        Streams of the core.
    """

    verilog: str
    streams: tuple[Stream, ...]


class _SimulationPlatform:
    """Platform that supplies memories to Amaranth (`amaranth.lib.memory`, ``platform.get_memory``)."""

    def get_memory(self, memory: Any) -> Any:
        """Return an instance of the behavioural module for a large memory, and Amaranth's own memory otherwise."""
        from amaranth.hdl import ClockSignal, Instance, Shape

        width = Shape.cast(memory.shape).width
        fits = len(memory.write_ports) == len(memory.read_ports) == 1 and width * memory.depth > _LARGE_MEMORY_BITS
        if not fits:
            return memory.elaborate(None)
        (write,), (read,) = memory.write_ports, memory.read_ports
        whole_words = len(write.en) == 1 and not read.transparent_for
        if not (whole_words and read.domain == write.domain == "sync") or any(map(_bits, memory.init)):
            return memory.elaborate(None)
        return Instance(
            "ninefold_memory",
            p_WIDTH=width,
            p_DEPTH=memory.depth,
            p_ADDRESS=len(write.addr),
            i_clk=ClockSignal("sync"),
            i_write=write.en,
            i_write_address=write.addr,
            i_write_word=write.data,
            i_read=read.en,
            i_read_address=read.addr,
            o_read_word=read.data,
        )


def elaborate(core: Any) -> Design:
    """Elaborate an Amaranth component whose members are all streams."""
    from ninefold.hdl.elaborate import verilog

    text = verilog(core, platform=_SimulationPlatform())
    return Design(text + (_MEMORY if "ninefold_memory" in text else ""), streams_of(core))


def design(name: str, parameters: Mapping[str, int | str | bool]) -> Design:
    """Return the design of a core, elaborated once and cached.

    Parameters
    ----------
    name : str
        Name or path of the core.
    parameters : mapping
        Its parameters.
    """
    folder = BuildCache("designs").get(
        digest_of(_sources(name), name, dict(parameters)), lambda f: _write(f, name, parameters)
    )
    streams = json.loads((folder / "streams.json").read_text())
    return Design((folder / "top.v").read_text(), tuple(Stream.from_json(s) for s in streams))


def _write(folder: Path, name: str, parameters: Mapping[str, int | str | bool]) -> None:
    from ninefold.hdl.catalogue import make_core

    made = elaborate(make_core(name, **parameters))
    (folder / "top.v").write_text(made.verilog)
    (folder / "streams.json").write_text(json.dumps([s.to_json() for s in made.streams]))


@cache
def _sources(name: str) -> tuple[str, ...]:
    """Return the inputs that determine a core's text: its sources and their imports, this module, tool versions."""
    module = _module_of(name)
    files = [*sources_of([module], ["ninefold.hdl", "ninefold.spec", *_others(module)]), Path(__file__)]
    return (*(f.read_text() for f in files), *(importlib.metadata.version(t) for t in ("amaranth", yosys.PACKAGE)))


def _others(module: str) -> list[str]:
    """Return the package of another party's core, or the modules beside the file that is one."""
    package, dot, _ = module.partition(".")
    spec = importlib.util.find_spec(package)
    if dot or spec is None or spec.origin is None:
        return [] if package == "ninefold" else [package]
    return sorted(path.stem for path in Path(spec.origin).parent.glob("*.py"))


def _module_of(name: str) -> str:
    own = f"ninefold.hdl.cores.{name}"
    # Located without its import, which would load Amaranth even if nothing is elaborated.
    if name.isidentifier() and importlib.util.find_spec(own) is not None:
        return own
    from ninefold.hdl.catalogue import find_core

    return find_core(name).module


def _bits(row: Any) -> int:
    return int(row) if isinstance(row, int) else 1
