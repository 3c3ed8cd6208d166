"""From Verilog text to a shared library, cached by everything that it was built from."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ninefold.hdl.tools import run
from ninefold.sim.verilated.design import Design
from ninefold.sim.verilated.streams import Stream
from ninefold.sim.verilated.tools import Tools, find_tools
from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["build"]

_HARNESS = Path(__file__).with_name("harness.cpp")
_TRACED = Path(__file__).with_name("traced.cpp")

_VERILATOR_FLAGS = (
    "--cc",
    "--top-module",
    "top",
    "--prefix",
    "Vtop",
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
#: No unique symbols: several cores, each with its own Verilator runtime, live in one process.
_COMPILER_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-w", "-DVL_TIME_CONTEXT")
_OPTIMISE = ("-O2",)
#: For designs of which a few thousand cycles are wanted: compiling takes a fraction of the time.
_QUICK = ("-O0",)


def build(design: Design, *, quick: bool = False, waves: bool = False) -> Path:
    """Return the shared library of a design, built when the cache has none.

    Parameters
    ----------
    design : Design
        The design.
    quick : bool
        Compile quickly, for a slower model.
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
    header = _streams_header(design.streams)
    harness = _HARNESS.read_text()
    if waves:
        harness = _TRACED.read_text().replace(f'#include "{_HARNESS.name}"', harness)
    flags = (*_VERILATOR_FLAGS, *(("--trace-vcd",) if waves else ()))
    optimise = _QUICK if quick or waves else _OPTIMISE
    parts = [design.verilog, header, harness, flags, _identity(tools), *([_QUICK] if optimise is _QUICK else [])]
    entry = BuildCache("verilated").get(
        digest_of(*parts), lambda folder: _build(folder, design.verilog, header, harness, flags, optimise, tools)
    )
    return entry / "core.so"


def _build(
    folder: Path,
    text: str,
    header: str,
    harness: str,
    flags: tuple[str, ...],
    optimise: tuple[str, ...],
    tools: Tools,
) -> None:
    verilog, work = folder / "top.v", folder / "build"
    verilog.write_text(text)
    work.mkdir()
    with ThreadPoolExecutor(1) as pool:
        runtime = pool.submit(_runtime, tools, "--trace-vcd" in flags)
        command = [str(tools.verilator), *flags, "-Mdir", str(work), str(verilog)]
        run(command, folder, VERILATOR_ROOT=str(tools.root))
        (work / "streams.h").write_text(header)
        # One translation unit: the harness sees through the model, and headers are read once.
        sources = sorted(path.name for path in work.glob("Vtop*.cpp"))
        unit = work / "all.cpp"
        unit.write_text("".join(f'#include "{name}"\n' for name in sources) + harness)
        run([*_compile_command(tools), *optimise, f"-I{work}", "-c", str(unit), "-o", "all.o"], work)
        objects = [str(work / "all.o"), *(str(path) for path in sorted(runtime.result().glob("*.o")))]
    run([*_compile_command(tools), "-shared", *objects, "-pthread", "-o", "core.so"], folder)
    shutil.rmtree(work)


def _runtime(tools: Tools, waves: bool) -> Path:
    """Return the folder with the objects of Verilator's runtime, which all cores share."""
    sources = ("verilated", "verilated_threads", *(("verilated_vcd_c",) if waves else ()))
    digest = digest_of(_identity(tools), *sources[2:])
    return BuildCache("verilator-runtime").get(digest, lambda folder: _compile(folder, tools, sources))


def _compile(folder: Path, tools: Tools, sources: tuple[str, ...]) -> None:
    for source in sources:
        path = tools.root / "include" / f"{source}.cpp"
        run([*_compile_command(tools), *_OPTIMISE, "-c", str(path), "-o", f"{source}.o"], folder)


def _identity(tools: Tools) -> list[str]:
    return [tools.verilator_version, tools.compiler_version, *_compile_command(tools), *_OPTIMISE]


def _compile_command(tools: Tools) -> list[str]:
    include = tools.root / "include"
    gnu = [] if "clang" in tools.compiler_version else ["-fno-gnu-unique"]
    return [*tools.compiler, *_COMPILER_FLAGS, *gnu, f"-I{include}", f"-I{include / 'vltstd'}"]


def _streams_header(streams: tuple[Stream, ...]) -> str:
    """Return the list of streams for the harness; Verilator writes the second of two underscores as ``_05F``."""
    entries = []
    for index, stream in enumerate(streams):
        ports = ", ".join(f"top.{stream.name}___05F{port}" for port in ("payload", "valid", "ready"))
        entries.append(f"    {'INPUT' if stream.input else 'OUTPUT'}({index}, {ports})")
    return "#pragma once\n#define STREAMS \\\n" + " \\\n".join(entries) + "\n"
