"""Compilation of Verilog to machine code: a design as one unit, and Verilator's runtime once for all designs.

Verilator splits its output into files so that make can compile them in parallel. Each file reads the same headers,
which for most designs takes longer than the code itself: as one unit, a design of 2,300 lines compiles in a fifth of
the processor time. Only the optimised code of a large design is split into several units.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ninefold.hdl.foreign import refusal
from ninefold.sim.verilated.tools import Tools
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.compiler import made
from ninefold.spec.errors import InputError, tool_failure
from ninefold.spec.programs import ended_by, execute, run, together
from ninefold.spec.progress import step

__all__ = ["Compilation"]

#: Maximum source bytes of one unit of optimised code, which takes several seconds to compile. Splitting makes the model
#: slower, because the compiler cannot optimise across units.
_UNIT_BYTES = 3 << 20
#: Optimisation of the runtime, which is compiled once.
_RUNTIME_OPTIMISE = "-O1"
_UNOPTIMISED = "-O0"
#: Header that, with its includes, takes most of a small unit's compile time.
_HEADER = "verilated.h"
#: First error of Verilator, with its file.
_REFUSED = re.compile(r"^%Error[^:\n]*: (\S+?):\d+", re.MULTILINE)


@dataclass(frozen=True)
class Compilation:
    """Settings of the compilation of a design to a program or a shared library.

    Attributes
    ----------
    verilator : tuple of str
        Options of Verilator.
    compiler : tuple of str
        Options of the C++ compiler for design and runtime, without optimisation.
    optimise : str
        Optimisation of the design, ``-O0`` to ``-O3``.
    runtime : tuple of str
        Sources of Verilator's runtime, without ``.cpp``.
    linker : tuple of str
        Options of the linker, after the objects.
    main : str
        C++ text that uses ``Vtop``. It is in one unit with the top of the design, so calls can be inlined.
    headers : mapping of str to str
        Text of headers that `main` includes, by name.
    """

    verilator: tuple[str, ...]
    compiler: tuple[str, ...]
    optimise: str
    runtime: tuple[str, ...]
    linker: tuple[str, ...]
    main: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def digest(self, tools: Tools) -> str:
        """Return the digest of all inputs except the design."""
        texts = [self.main, dict(self.headers), self.optimise, *self.runtime, *self.verilator, *self.linker]
        return digest_of(self._identity(tools), texts)

    def build(self, tools: Tools, sources: Sequence[Path], output: Path) -> None:
        """Build a design whose top module is ``top``.

        Parameters
        ----------
        tools : Tools
            Verilator and compiler.
        sources : sequence of Path
            The Verilog and Verilator's configuration files, in the folder of `output`.
        output : Path
            The program or library. A temporary folder beside it is created and removed.

        Raises
        ------
        InputError
            Verilator refused Verilog of a user; the message has its first error, with file and line.
        ToolError
            Verilator refused another design, or the compiler failed.
        """
        work = output.parent / "build"
        work.mkdir()
        # If the runtime is not in the cache, compile it while Verilator runs.
        with ThreadPoolExecutor(1) as pool:
            runtime = pool.submit(self._runtime, tools)
            options: list[str] = ["--cc", "--top-module", "top", "--prefix", "Vtop", *self.verilator]
            # Relative names: Verilator and make-like tools do not accept every character of the folder's path.
            command: list[str | Path] = [
                tools.verilator,
                *options,
                "-Mdir",
                work.name,
                *(path.name for path in sources),
            ]
            _translate(command, output.parent, tools)
            units = [path.relative_to(output.parent) for path in self._compile(tools, work)]
            objects = [*units, *runtime.result()]
        run([*self._command(tools), *objects, *self.linker, "-o", output.name], output.parent)
        made(output, tools.compiler)
        shutil.rmtree(work)

    def prepare(self, tools: Tools) -> None:
        """Compile the parts that all designs share, so that the first design does not wait for them.

        Raises
        ------
        ToolError
            The compiler failed.
        """
        self._runtime(tools)
        self._precompiled(tools)

    def _compile(self, tools: Tools, work: Path) -> list[Path]:
        for name, text in self.headers.items():
            (work / name).write_text(text)
        most = 1 if self.optimise == _UNOPTIMISED else os.cpu_count() or 1
        units = []
        for number, names in enumerate(_divided(list(work.glob("Vtop*.cpp")), most)):
            units.append(work / f"unit{number}.cpp")
            # The first unit contains the top and `main`.
            units[-1].write_text("".join(f'#include "{name}"\n' for name in names) + ("" if number else self.main))

        command = [*self._command(tools), self.optimise, *self._precompiled(tools), "-I."]

        def compiled(unit: Path) -> Path:
            run([*command, "-c", unit.name, "-o", f"{unit.stem}.o"], work)
            made(unit.with_suffix(".o"), tools.compiler)
            return unit.with_suffix(".o")

        return together(compiled, units, len(units))

    def _runtime(self, tools: Tools) -> list[Path]:
        """Return the objects of the runtime, after compiling those that are not in the cache."""

        def compiled(source: str) -> Path:
            path = tools.root / "include" / f"{source}.cpp"

            def build(folder: Path) -> None:
                with step(f"compiling Verilator's runtime, {source} (once)"):
                    run([*self._command(tools), _RUNTIME_OPTIMISE, "-c", path, "-o", f"{source}.o"], folder)
                made(folder / f"{source}.o", tools.compiler)

            digest = digest_of(self._identity(tools), _RUNTIME_OPTIMISE, source)
            return BuildCache("verilator-runtime").get(digest, build) / f"{source}.o"

        return [compiled(source) for source in self.runtime]

    def _precompiled(self, tools: Tools) -> list[str]:
        """Return the options that use the precompiled header; empty if precompiling does not save time.

        It saves time in quick builds, which are frequent. GCC ignores a precompiled header that does not match its
        other options; Clang would need options of its own.
        """
        if self.optimise != _UNOPTIMISED or "clang" in tools.compiler_version:
            return []
        options = [self.optimise, "-x", "c++-header", str(tools.root / "include" / _HEADER), "-o", f"{_HEADER}.gch"]

        def build(folder: Path) -> None:
            with step("precompiling Verilator's header (once)"):
                run([*self._command(tools), *options], folder)
            made(folder / f"{_HEADER}.gch", tools.compiler)

        digest = digest_of(self._identity(tools), self.optimise, _HEADER)
        return [f"-I{BuildCache('verilator-runtime').get(digest, build)}", "-include", _HEADER]

    def _identity(self, tools: Tools) -> list[str]:
        return [tools.verilator_version, tools.compiler_version, *self._command(tools)]

    def _command(self, tools: Tools) -> list[str]:
        include = tools.root / "include"
        return [*tools.compiler, "-std=c++17", "-w", *self.compiler, f"-I{include}", f"-I{include / 'vltstd'}"]


def _translate(command: Sequence[str | Path], folder: Path, tools: Tools) -> None:
    """Run Verilator."""
    ended = execute(command, folder, VERILATOR_ROOT=str(tools.root))
    if not ended.code:
        return
    said = ended.output + ended.complaints
    found = _REFUSED.search(said)
    if found is not None and found[1] not in {str(word) for word in command}:
        # The line directives of a user's text name other files than the command.
        raise InputError(refusal("Verilator", said))
    raise tool_failure(f"{tools.verilator.name} {ended_by(ended.code)}", said, folder)


def _divided(sources: Sequence[Path], most: int) -> list[list[str]]:
    """Return the names of the sources in groups of similar size; the first group contains the top."""
    bytes_of = {source.name: source.stat().st_size for source in sources}
    count = max(1, min(most, -(-sum(bytes_of.values()) // _UNIT_BYTES)))
    groups: list[list[str]] = [[] for _ in range(count)]
    for name in sorted(bytes_of, key=lambda name: (name != "Vtop.cpp", -bytes_of[name], name)):
        min(groups, key=lambda group: sum(bytes_of[one] for one in group)).append(name)
    return [group for group in groups if group]
