"""Compilation of Verilog text to a shared library, cached by the digest of all inputs."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

from ninefold.sim.verilated.compiler import Compilation
from ninefold.sim.verilated.design import Design
from ninefold.sim.verilated.streams import Stream
from ninefold.sim.verilated.tools import Tools, find_tools
from ninefold.sim.waveforms.declarations import only_shown
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.compiler import found_compiler, named_compiler
from ninefold.spec.errors import UnavailableError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

__all__ = ["build", "optimised", "prepare", "tools_or_reason"]

_HARNESS = Path(__file__).with_name("harness.cpp")
_TRACED = Path(__file__).with_name("traced.cpp")

_VERILATOR = (
    "-O3",
    # The compiler's time grows faster than the size of a function: minutes for a top-k of 256 in one function.
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
#: For designs that run only a few thousand cycles: compilation takes a fraction of the time.
_QUICK = "-O0"
#: Kind of the cache entries that find a library without knowing its compiler, for use when no compiler is installed.
_ANY = "models"


def build(design: Design, *, quick: bool = False, waves: bool = False) -> Path:
    """Return the shared library of a design, after building it if it is not in the cache.

    Without Verilator or a compiler, a library built by any version of them is used.

    Parameters
    ----------
    design : Design
        The design.
    quick : bool
        Compile quickly, for a slower model, unless the optimised one is in the cache.
    waves : bool
        Include support for waveforms; implies `quick`.

    Raises
    ------
    UnavailableError
        Verilator or a C++ compiler is missing, and the library is not in the cache; the message says what to install.
    ToolError
        Verilator or the compiler failed.
    """
    name = _name(design, waves)
    try:
        tools = find_tools()
    except UnavailableError:
        if (kept := BuildCache(_ANY).find(name)) is not None:
            return kept / "core.so"
        raise
    cache = BuildCache("verilated")
    verilog = only_shown(design.verilog, fields=True) if waves else design.verilog

    def digest(compilation: Compilation) -> str:
        return digest_of(verilog, compilation.digest(tools))

    compilation = _compilation(design.streams, tools, _QUICK if quick or waves else _OPTIMISED, waves)
    if quick and not waves:
        # Use the optimised model if it has been built.
        there = cache.find(digest(replace(compilation, optimise=_OPTIMISED)))
        if there is not None:
            BuildCache(_ANY).alias(name, there)
            return there / "core.so"

    def make(folder: Path) -> None:
        source = folder / "top.v"
        source.write_text(verilog)
        lines = design.verilog.count("\n")
        with step(f"compiling a model of {counted(lines, 'line')} of Verilog"):
            compilation.build(tools, [source], folder / "core.so")

    entry = cache.get(digest(compilation), make)
    BuildCache(_ANY).alias(name, entry)
    return entry / "core.so"


def optimised(design: Design, tools: Tools) -> Compilation:
    """Return the compilation of the fast model of a design, whose `main` another program may replace."""
    return _compilation(design.streams, tools, _OPTIMISED, waves=False)


def tools_or_reason() -> Tools | str:
    """Return the tools, or the reason why only models in the cache can run.

    Raises
    ------
    UnavailableError
        A tool is missing and the cache holds no model, or ``CXX`` names a program that does not exist.
    """
    try:
        return find_tools()
    except UnavailableError as error:
        mistaken = named_compiler() and found_compiler() is None
        if mistaken or not any(path.is_dir() for path in BuildCache(_ANY).folder.glob("[0-9a-f]*")):
            raise
        return str(error)


def _name(design: Design, waves: bool) -> str:
    """Return the digest that names the library of a design, regardless of the tools that built it."""
    harness = [path.read_text() for path in ((_HARNESS, _TRACED) if waves else (_HARNESS,))]
    return digest_of("verilated", platform.machine(), design.verilog, _streams_header(design.streams), harness)


def prepare() -> None:
    """Compile the parts that all models share.

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
    # One process loads several cores, each with its own runtime, so none of their symbols may be unique.
    gnu = () if "clang" in tools.compiler_version else ("-fno-gnu-unique",)
    return Compilation(
        verilator=(*_VERILATOR, *(("--trace-vcd", "--trace-max-width", "0") if waves else ())),
        compiler=(*_COMPILER, *gnu),
        optimise=optimise,
        runtime=(*_RUNTIME, *(("verilated_vcd_c",) if waves else ())),
        linker=("-shared", "-pthread"),
        main=harness,
        headers={"streams.h": _streams_header(streams)},
    )


def _streams_header(streams: tuple[Stream, ...]) -> str:
    """Return the list of streams for the harness; Verilator encodes the second of two underscores as ``_05F``."""
    entries = []
    for index, stream in enumerate(streams):
        ports = ", ".join(f"top.{stream.name}___05F{port}" for port in ("payload", "valid", "ready"))
        entries.append(f"    {'INPUT' if stream.input else 'OUTPUT'}({index}, {ports})")
    return "#pragma once\n#define STREAMS \\\n" + " \\\n".join(entries) + "\n"
