"""From Verilog text to a shared library, cached by everything that it was built from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ninefold.sim.verilated.compiler import Compilation
from ninefold.sim.verilated.design import Design
from ninefold.sim.verilated.streams import Stream
from ninefold.sim.verilated.tools import Tools, find_tools
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.progress import step

__all__ = ["build", "prepare"]

_HARNESS = Path(__file__).with_name("harness.cpp")
_TRACED = Path(__file__).with_name("traced.cpp")

_VERILATOR = (
    "-O3",
    # A core in one function takes the compiler time that grows faster than the core: top-k of 256, minutes.
    "--output-split-cfuncs",
    "300",
    "--no-timing",
    "--noassert",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
)
_COMPILER = ("-fPIC", "-fvisibility=hidden", "-DVL_TIME_CONTEXT")
_RUNTIME = ("verilated", "verilated_threads")
_OPTIMISED = "-O2"
#: For designs of which a few thousand cycles are wanted: compiling takes a fraction of the time.
_QUICK = "-O0"


def build(design: Design, *, quick: bool = False, waves: bool = False) -> Path:
    """Return the shared library of a design, built when the cache has none.

    Parameters
    ----------
    design : Design
        The design.
    quick : bool
        Compile quickly, for a slower model, unless the fast one is there.
    waves : bool
        Let the model write waveforms; also quick.

    Raises
    ------
    UnavailableError
        When Verilator or a C++ compiler is missing, with what to install.
    ToolError
        When one of them fails.
    """
    tools = find_tools()
    cache = BuildCache("verilated")

    def digest(compilation: Compilation) -> str:
        return digest_of(design.verilog, compilation.digest(tools))

    compilation = _compilation(design.streams, tools, _QUICK if quick or waves else _OPTIMISED, waves)
    if quick and not waves:
        # The faster model does as well where somebody built it.
        there = cache.find(digest(replace(compilation, optimise=_OPTIMISED)))
        if there is not None:
            return there / "core.so"

    def make(folder: Path) -> None:
        source = folder / "top.v"
        source.write_text(design.verilog)
        lines = design.verilog.count("\n")
        with step(f"compiling a model of {lines:,} lines of Verilog"):
            compilation.build(tools, [source], folder / "core.so")

    return cache.get(digest(compilation), make) / "core.so"


def prepare() -> None:
    """Compile what all models share.

    Raises
    ------
    UnavailableError
        Verilator or a C++ compiler is missing.
    ToolError
        The compiler failed.
    """
    tools = find_tools()
    for waves in (False, True):
        _compilation((), tools, _QUICK, waves).prepare(tools)


def _compilation(streams: tuple[Stream, ...], tools: Tools, optimise: str, waves: bool) -> Compilation:
    harness = _HARNESS.read_text()
    if waves:
        harness = _TRACED.read_text().replace(f'#include "{_HARNESS.name}"', harness)
    # Several cores, each with its own runtime, live in one process: none of their symbols is unique.
    gnu = () if "clang" in tools.compiler_version else ("-fno-gnu-unique",)
    return Compilation(
        verilator=(*_VERILATOR, *(("--trace-vcd",) if waves else ())),
        compiler=(*_COMPILER, *gnu),
        optimise=optimise,
        runtime=(*_RUNTIME, *(("verilated_vcd_c",) if waves else ())),
        linker=("-shared", "-pthread"),
        main=harness,
        headers={"streams.h": _streams_header(streams)},
    )


def _streams_header(streams: tuple[Stream, ...]) -> str:
    """Return the list of streams for the harness; Verilator writes the second of two underscores as ``_05F``."""
    entries = []
    for index, stream in enumerate(streams):
        ports = ", ".join(f"top.{stream.name}___05F{port}" for port in ("payload", "valid", "ready"))
        entries.append(f"    {'INPUT' if stream.input else 'OUTPUT'}({index}, {ports})")
    return "#pragma once\n#define STREAMS \\\n" + " \\\n".join(entries) + "\n"
