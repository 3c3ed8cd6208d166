"""Verilator and Icarus Verilog under cocotb: found, built once for each design, and run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ninefold.sim.verilated.tools import find_tools
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, UnavailableError, tool_failure

__all__ = ["PERIOD_NS", "SIMULATORS", "Outcome", "Simulator", "find_simulator"]

#: Names of the simulators, the default first.
SIMULATORS = ("verilator", "icarus")

#: Period of the clock that every bench makes.
PERIOD_NS = 10

_TIMESCALE = ("1ns", "1ps")  # Icarus refuses clock periods without one
_EMPTY_DESIGN = "module top(input clk, output q); assign q = clk; endmodule\n"
# Icarus in its SystemVerilog mode, cocotb's choice, does not run `always @*` at time 0, which Yosys' Verilog relies on.
_ICARUS = ["-g2005", "-s", "waves"]
# Plain Verilog, unlike cocotb's own.
_ICARUS_WAVES = """module waves;
  reg [8 * 4096:1] path;
  initial if ($value$plusargs("waves=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, top);
  end
endmodule
"""
# cocotb asks Verilator to keep every signal within reach, which makes large designs slow to build and to run; a bench
# reaches the ports only.
_PORTS = """`verilator_config
public_flat_rw -module "top" -var "clk"
public_flat_rw -module "top" -var "rst"
public_flat_rw -module "top" -var "*__*"
public_flat_rw -module "top" -var "rx"
public_flat_rw -module "top" -var "tx"
public_flat_rw -module "top" -var "lost"
public_flat_rw -module "top" -var "crc_error"
public_flat_rw -module "top" -var "dropped"
"""
_VERILATOR = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-public-flat-rw"]
_INSTALL_ICARUS = "install it (Debian: apt install iverilog) or use --simulator verilator"
_INSTALL_PYTHON = "use a Python with a shared libpython (Debian: apt install libpython3-dev)"


@dataclass(frozen=True)
class Outcome:
    """What became of one test of a bench.

    Attributes
    ----------
    name : str
        The test.
    passed : bool
        Whether every check held.
    message : str
        The check that failed.
    cycles : int
        Simulated clock cycles.
    seconds : float
        Wall time.
    """

    name: str
    passed: bool
    message: str
    cycles: int
    seconds: float


@dataclass(frozen=True)
class Simulator:
    """An installed simulator; `find_simulator` makes one.

    Attributes
    ----------
    name : str
        One of ``SIMULATORS``.
    version : str
        Its version, and that of the C++ compiler where one is used.
    waves : str
        Suffix of its waveforms: ``.fst``, or ``.vcd`` for Verilator where the headers of zlib or lz4 are missing.
    variables : mapping of str to str
        Environment variables that it needs.
    """

    name: str
    version: str
    waves: str
    variables: Mapping[str, str]

    def build(self, verilog: str, *, waves: bool = False) -> Path:
        """Return the folder of the built simulation of a design; it is built on first use.

        Parameters
        ----------
        verilog : str
            The design; its top module is ``top``.
        waves : bool
            Build it so that it can record waveforms.

        Raises
        ------
        ToolError
            The simulator refused the design.
        """
        digest = digest_of(verilog, self._identity(waves))
        return BuildCache("simulations").get(digest, lambda folder: self._build(folder, verilog, waves))

    def run(
        self,
        built: Path,
        bench: str,
        seed: int,
        *,
        tests: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        plusargs: Sequence[str] = (),
        waveform: Path | None = None,
        log: Path | None = None,
    ) -> list[Outcome]:
        """Run the tests of a bench.

        Parameters
        ----------
        built : Path
            What `build` returned.
        bench : str
            Module of the cocotb tests.
        seed : int
            Seed of every stimulus. A test gets the same stimulus whichever tests run beside it.
        tests : sequence of str
            Names of the tests to run; empty for all.
        variables : mapping of str to str, optional
            Environment variables for the bench.
        plusargs : sequence of str
            Arguments for the design's ``$value$plusargs``, each ``+name=value``.
        waveform : Path, optional
            Record the waveform there; needs a design built with `waves`.
        log : Path, optional
            Keep cocotb's log there.

        Raises
        ------
        InputError
            No test has one of the names.
        ToolError
            The simulation ended without results.
        """
        with tempfile.TemporaryDirectory(prefix="ninefold-sim-") as name:
            folder = Path(name)
            results = folder / "results.xml"
            try:
                self._simulate(built, bench, seed, tests, variables or {}, plusargs, waveform, results)
            finally:
                if log is not None and (folder / "log").exists():
                    shutil.copyfile(folder / "log", log)
            outcomes = _outcomes(results)
        for test in tests:
            if test not in {outcome.name for outcome in outcomes}:
                raise InputError(f"the bench {bench.rpartition('.')[2]} has no test {test!r}")
        return outcomes

    def _identity(self, waves: bool) -> list[str]:
        recording = self.waves if waves else ""
        return [self.name, self.version, version("cocotb"), sys.prefix, recording, *_ICARUS, *_VERILATOR, _PORTS]

    def _build(self, folder: Path, verilog: str, waves: bool) -> None:
        source = folder / "top.v"
        source.write_text(verilog)
        if self.name == "verilator":
            # Most of the time of a build goes into Verilator's runtime, which is the same for every design: make
            # takes these objects as up to date.
            runtime = BuildCache("simulations").get(
                digest_of("runtime", self._identity(waves)), lambda empty: self._build_runtime(empty, waves)
            )
            for built in runtime.iterdir():
                shutil.copyfile(built, folder / built.name)
        self._compile(folder, source, waves)
        if self.name == "verilator":
            _keep(folder, ["top", "top.v"])

    def _build_runtime(self, folder: Path, waves: bool) -> None:
        source = folder / "top.v"
        source.write_text(_EMPTY_DESIGN)
        self._compile(folder, source, waves)
        _keep(folder, [path.name for path in folder.glob("verilated*.o")])

    def _compile(self, folder: Path, source: Path, waves: bool) -> None:
        sources = [source]
        if self.name == "verilator":
            ports = folder / "ports.vlt"
            ports.write_text(_PORTS)
            arguments = [*_VERILATOR, str(ports), *(["--trace-fst"] if waves and self.waves == ".fst" else [])]
        else:
            arguments = _ICARUS
            sources.append(folder / "waves.v")
            sources[-1].write_text(_ICARUS_WAVES)
        with self._runner(folder / "log") as runner:
            runner.build(
                sources=sources,
                hdl_toplevel="top",
                build_dir=folder,
                build_args=arguments,
                timescale=_TIMESCALE,
                waves=waves and self.name == "verilator",
                log_file=folder / "log",
            )

    def _simulate(
        self,
        built: Path,
        bench: str,
        seed: int,
        tests: Sequence[str],
        variables: Mapping[str, str],
        plusargs: Sequence[str],
        waveform: Path | None,
        results: Path,
    ) -> None:
        arguments: list[str] = []
        added: list[str] = []
        if waveform is not None and self.name == "verilator":
            arguments = ["--trace-file", str(waveform)]
        elif waveform is not None:
            added = [f"+waves={waveform}"]
        log = results.parent / "log"
        with self._runner(log) as runner:
            runner.test(
                test_module=bench,
                hdl_toplevel="top",
                hdl_toplevel_lang="verilog",
                build_dir=built,
                test_dir=results.parent,
                results_xml=str(results),
                # A regular expression that the whole name must match.
                test_filter=rf"\.({'|'.join(map(re.escape, tests))})$" if tests else None,
                test_args=arguments,
                plusargs=[*plusargs, *added],
                seed=seed,
                extra_env=variables,
                waves=waveform is not None,
                log_file=log,
            )

    @contextlib.contextmanager
    def _runner(self, log: Path) -> Iterator[Any]:
        """Give cocotb's runner, which takes its environment from this process, the environment that it needs."""
        from cocotb_tools.runner import get_runner

        changed = {**self.variables, "PATH": os.pathsep.join([self.variables["PATH"], os.environ.get("PATH", "")])}
        # Inside pytest the runner would judge the results itself, and cocotb's process would load pytest's plug-ins.
        before = dict(os.environ)
        os.environ.update(changed)
        for name in ("PYTEST_CURRENT_TEST", "WAVES", "GUI", "COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED"):
            os.environ.pop(name, None)
        try:
            yield get_runner(self.name)
        except (RuntimeError, SystemExit) as error:
            said = log.read_text(errors="replace") if log.exists() else ""
            raise tool_failure(f"{self.name} failed: {error}", said, log.parent) from error
        finally:
            os.environ.clear()
            os.environ.update(before)


def find_simulator(name: str) -> Simulator:
    """Find a simulator.

    Raises
    ------
    InputError
        There is none of that name.
    UnavailableError
        It, or something that cocotb needs, is not installed; the message says what to install.
    """
    finders: dict[str, Callable[[], Simulator]] = {"verilator": _find_verilator, "icarus": _find_icarus}
    if name not in finders:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    try:
        import find_libpython
        from cocotb_tools import runner  # noqa: F401
    except ImportError as error:
        raise UnavailableError("cocotb is not installed", 'pip install "ninefold[sim]"') from error
    if find_libpython.find_libpython() is None:
        raise UnavailableError("cocotb found no shared libpython of this Python", _INSTALL_PYTHON)
    return finders[name]()


def _find_verilator() -> Simulator:
    tools = find_tools()
    if shutil.which("make") is None:
        raise UnavailableError("make was not found on PATH", "install it (Debian: apt install make)")
    # cocotb's runner looks for `verilator`, a Perl script around this program that is not needed.
    links = BuildCache("verilator").get(
        digest_of("link", str(tools.verilator)), lambda folder: (folder / "verilator").symlink_to(tools.verilator)
    )
    variables = _common_variables(str(links))
    variables["VERILATOR_ROOT"] = str(tools.root)
    # Without the first, designs that Verilator splits do not build; the benches wait for Python most of the time, so a
    # quick compiler run is worth more than the quickest simulation.
    variables["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
    identity = f"{tools.verilator_version} {tools.compiler_version}"
    return Simulator("verilator", identity, ".fst" if _has_fst(tools.compiler) else ".vcd", variables)


def _find_icarus() -> Simulator:
    found = [shutil.which(program) for program in ("iverilog", "vvp")]
    if not all(found):
        raise UnavailableError("Icarus Verilog (iverilog and vvp) was not found on PATH", _INSTALL_ICARUS)
    said = subprocess.run([str(found[0]), "-V"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return Simulator("icarus", said.partition("\n")[0].strip(), ".fst", _common_variables())


def _common_variables(*folders: str) -> dict[str, str]:
    # Verilator's make calls `python`, and the environment may not be activated.
    path = os.pathsep.join([*folders, str(Path(sys.executable).parent)])
    return {"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _has_fst(compiler: Sequence[str]) -> bool:
    """Return whether Verilator's writer of FST can be compiled and linked."""
    source = "#include <lz4.h>\n#include <zlib.h>\nint main() { return zlibVersion() == nullptr; }\n"
    command = [*compiler, "-x", "c++", "-", "-lz", "-llz4", "-o", os.devnull]
    return subprocess.run(command, input=source, capture_output=True, text=True).returncode == 0


def _keep(folder: Path, names: Sequence[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def _outcomes(results: Path) -> list[Outcome]:
    outcomes = []
    for case in ElementTree.parse(results).getroot().iter("testcase"):  # noqa: S314 - cocotb wrote it just now
        properties = {node.get("name"): node.get("value", "") for node in case.iter("property")}
        problems = [*case.findall("failure"), *case.findall("error")]
        message = (problems[0].get("message") or "failed").strip() if problems else ""
        cycles = round(float(properties.get("sim_time_duration", "0")) / PERIOD_NS)
        seconds = float(case.get("time", "0"))
        outcomes.append(Outcome(case.get("name", ""), not problems, message, cycles, seconds))
    return outcomes
