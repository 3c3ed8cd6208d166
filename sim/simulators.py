"""Verilator and Icarus Verilog with cocotb: search for them, cached builds of designs, and runs of testbenches."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from xml.etree import ElementTree

from ninefold.sim.testbench.fields import PERIOD_NS
from ninefold.sim.testbench.tests import named_tests
from ninefold.sim.verilated.compiler import Compilation
from ninefold.sim.verilated.tools import Tools, find_tools
from ninefold.sim.waveforms import converting, declarations, only_shown, prepare
from ninefold.spec import times
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, UnavailableError, installs, not_installed, tool_failure
from ninefold.spec.programs import TerminatedError, run, stop_if_interrupted
from ninefold.spec.progress import step

__all__ = ["SIMULATORS", "Outcome", "Simulator", "find_simulator"]

#: Names of the simulators, the default first.
SIMULATORS = ("verilator", "icarus")

#: File with the design's text, in the folder of its simulation.
_SOURCE = "top.v"
_HELPERS = Path(__file__).with_name("testbench")
_TIMESCALE = ("1ns", "1ps")  # Icarus rejects clock periods without a timescale
# cocotb selects SystemVerilog, in which Icarus does not run `always @*` at time 0, as Yosys' Verilog requires.
_ICARUS = ["-g2005", "-s", "waves"]
# Plain Verilog, unlike the module that cocotb provides.
_ICARUS_WAVES = """module waves;
  reg [8 * 4096:1] path;
  initial if ($value$plusargs("waves=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, top);
  end
endmodule
"""
# cocotb tells Verilator to keep every signal accessible, which makes large designs slow to build and to run. A
# testbench accesses only the ports.
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
_VERILATOR = ("--vpi", "--no-public-flat-rw", "-Wno-fatal", "-Wno-lint", "-Wno-style")
# No limit on the width: a limit would omit the payload of a wide stream.
_TRACE = ("--trace-vcd", "--trace-max-width", "0")
_VERILATOR_RUNTIME = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
_INSTALL_ICARUS = "install it (Debian: apt install iverilog), or use --simulator verilator"
_INSTALL_PYTHON = "use a Python with a shared libpython (Debian: apt install libpython3-dev)"


@dataclass(frozen=True)
class Outcome:
    """Outcome of one test of a testbench.

    Attributes
    ----------
    name : str
        Name of the test.
    passed : bool
        True if every check passed.
    message : str
        The check that failed; empty if the test passed.
    cycles : int
        Number of simulated clock cycles.
    seconds : float
        Wall time in seconds.
    """

    name: str
    passed: bool
    message: str
    cycles: int
    seconds: float


@dataclass(frozen=True)
class _Recording:
    """Arguments of cocotb's runner, plusargs, and suffix of the simulator's command line that record a VCD."""

    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    plusargs: Sequence[str] = ()
    suffix: str = ""


@dataclass(frozen=True)
class Simulator(ABC):
    """Installed simulator, as returned by `find_simulator`.

    Attributes
    ----------
    version : str
        Version of the simulator, followed by the C++ compiler's if it uses one.
    """

    name: ClassVar[str]
    version: str

    @abstractmethod
    def build(self, verilog: str, *, waves: bool = False) -> Path:
        """Return the folder with the simulation of a design, which is built on first use.

        Parameters
        ----------
        verilog : str
            The design; its top module is ``top``.
        waves : bool
            Include support for waveforms.

        Raises
        ------
        ToolError
            The simulator rejected the design.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Compile the parts that all designs share, if the simulator has any."""

    def run(
        self,
        built: Path,
        testbench: str,
        seed: int,
        *,
        tests: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        plusargs: Sequence[str] = (),
        waveform: Path | None = None,
        log: Path | None = None,
    ) -> list[Outcome]:
        """Run the tests of a testbench.

        Parameters
        ----------
        built : Path
            Folder returned by `build`.
        testbench : str
            Module of the cocotb tests.
        seed : int
            Seed of every stimulus. The stimulus of a test does not depend on the selection of tests.
        tests : sequence of str
            Names of the tests to run; empty for all.
        variables : mapping of str to str, optional
            Environment variables for the testbench.
        plusargs : sequence of str
            Arguments for the design's ``$value$plusargs``, each ``+name=value``.
        waveform : Path, optional
            File for the waveform, FST or VCD by its suffix; save files are written to the same folder. The simulation
            must be built with `waves`.
        log : Path, optional
            File for cocotb's log.

        Raises
        ------
        InputError
            A test does not exist.
        ToolError
            The simulation failed or wrote no results.
        """
        with tempfile.TemporaryDirectory(prefix="ninefold-sim-") as name:
            folder = Path(name)
            results = folder / "results.xml"
            raw = None if waveform is None else folder / "raw.vcd"
            try:
                with (
                    self._converting(built, raw, waveform),
                    step(f"running {_title(testbench)}'s tests", count=lambda: _reached(folder / "log")),
                ):
                    self._simulate(built, testbench, seed, tests, variables or {}, plusargs, raw, results)
            finally:
                if log is not None and (folder / "log").exists():
                    shutil.copyfile(folder / "log", log)
            if not results.exists():
                said = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
                raise tool_failure(f"the testbench of {_title(testbench)} did not start", said, folder)
            outcomes = _outcomes(results)
        for test in tests:
            if test not in {outcome.name for outcome in outcomes}:
                raise InputError(f"the testbench of {_title(testbench)} has no test {test!r}")
        return outcomes

    def _converting(
        self, built: Path, raw: Path | None, waveform: Path | None
    ) -> contextlib.AbstractContextManager[None]:
        if raw is None or waveform is None:
            return contextlib.nullcontext()
        return converting(raw, waveform, declarations((built / _SOURCE).read_text()))

    @abstractmethod
    def _recording(self, raw: Path) -> _Recording:
        """Return the settings that make the simulator record a VCD."""

    def _simulate(
        self,
        built: Path,
        testbench: str,
        seed: int,
        tests: Sequence[str],
        variables: Mapping[str, str],
        plusargs: Sequence[str],
        raw: Path | None,
        results: Path,
    ) -> None:
        recording = _Recording() if raw is None else self._recording(raw)
        log = results.parent / "log"
        with self._runner(log, testbench) as runner, times.children("simulation"):
            os.environ["SIM_CMD_SUFFIX"] = recording.suffix
            runner.test(
                test_module=testbench,
                hdl_toplevel="top",
                hdl_toplevel_lang="verilog",
                build_dir=built,
                test_dir=results.parent,
                results_xml=str(results),
                # A regular expression that matches whole names only.
                test_filter=rf"\.({'|'.join(map(re.escape, tests))})$" if tests else None,
                plusargs=[*plusargs, *recording.plusargs],
                seed=seed,
                extra_env=variables,
                log_file=log,
                **recording.arguments,
            )

    @contextlib.contextmanager
    def _runner(self, log: Path, testbench: str = "") -> Iterator[Any]:
        """Yield cocotb's runner, with the environment of this process set as the runner needs it."""
        from cocotb_tools.runner import get_runner

        # Within pytest, the runner would check the results itself, and cocotb's process would load pytest's plug-ins.
        before = dict(os.environ)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        # Only testbenches contain assertions. Rewriting all modules, cocotb's default, takes as long as a short run.
        os.environ["COCOTB_REWRITE_ASSERTION_FILES"] = _asserting(testbench)
        for name in ("PYTEST_CURRENT_TEST", "WAVES", "GUI", "COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED"):
            os.environ.pop(name, None)
        try:
            yield get_runner(self.name)
        except TerminatedError:
            raise
        except (RuntimeError, SystemExit) as error:
            if code := re.search(r"return code: (-?\d+)", str(error)):
                stop_if_interrupted(self.name, int(code[1]))
            said = log.read_text(errors="replace") if log.exists() else ""
            raise tool_failure(f"{self.name} failed: {error}", said, log.parent) from error
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass(frozen=True)
class _Verilator(Simulator):
    name = "verilator"
    tools: Tools

    def build(self, verilog: str, *, waves: bool = False) -> Path:
        compilation = self._compilation(waves)
        if waves:
            verilog = only_shown(verilog, fields=False)

        def make(folder: Path) -> None:
            source, ports = folder / _SOURCE, folder / "ports.vlt"
            source.write_text(verilog)
            ports.write_text(_PORTS)
            compilation.build(self.tools, [ports, source], folder / "top")
            ports.unlink()

        return BuildCache("simulations").get(digest_of(verilog, _PORTS, compilation.digest(self.tools)), make)

    def prepare(self) -> None:
        for waves in (False, True):
            self._compilation(waves).prepare(self.tools)
        prepare()

    def _compilation(self, waves: bool) -> Compilation:
        from cocotb_tools import config

        traces = {f"VM_TRACE_{kind}": waves and kind == "VCD" for kind in ("FST", "VCD", "SAIF")}
        defines = {"VM_TRACE": waves, **traces, "VM_COVERAGE": False}
        defined = "".join(f"#define {name} {int(value)}\n" for name, value in defines.items())
        libraries = ["-Wl,-rpath," + str(config.libs_dir), f"-L{config.libs_dir}", "-lcocotbvpi_verilator", "-pthread"]
        return Compilation(
            verilator=(*_VERILATOR, "--timescale", "/".join(_TIMESCALE), *(_TRACE if waves else ())),
            compiler=(),
            # Testbenches spend most of their time in Python, so a fast build saves more than a fast simulation.
            optimise="-O0",
            runtime=(*_VERILATOR_RUNTIME, *(["verilated_vcd_c"] if waves else [])),
            linker=tuple(libraries),
            main=defined + (config.share_dir / "lib" / "verilator" / "verilator.cpp").read_text(),
        )

    def _recording(self, raw: Path) -> _Recording:
        return _Recording({"waves": True, "test_args": ["--trace-file", str(raw)]})


@dataclass(frozen=True)
class _Icarus(Simulator):
    name = "icarus"

    def build(self, verilog: str, *, waves: bool = False) -> Path:  # noqa: ARG002 - Icarus can always record
        def make(folder: Path) -> None:
            source, recorder, log = folder / _SOURCE, folder / "waves.v", folder / "log"
            source.write_text(verilog)
            recorder.write_text(_ICARUS_WAVES)
            with self._runner(log) as runner, times.children("iverilog"):
                runner.build(
                    sources=[source, recorder],
                    hdl_toplevel="top",
                    build_dir=folder,
                    build_args=_ICARUS,
                    timescale=_TIMESCALE,
                    log_file=log,
                )

        identity = [self.name, self.version, version("cocotb"), sys.prefix, *_ICARUS, _ICARUS_WAVES]
        return BuildCache("simulations").get(digest_of(verilog, identity), make)

    def prepare(self) -> None:
        pass

    def _recording(self, raw: Path) -> _Recording:
        # cocotb's runner selects FST or no waveform; the last argument takes precedence.
        return _Recording(plusargs=[f"+waves={raw}"], suffix="-vcd")


def find_simulator(name: str) -> Simulator:
    """Find a simulator.

    Raises
    ------
    InputError
        No simulator has this name.
    UnavailableError
        The simulator or a requirement of cocotb is not installed; the message says what to install.
    """
    finders: dict[str, Callable[[], Simulator]] = {"verilator": _find_verilator, "icarus": _find_icarus}
    if name not in finders:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    try:
        import find_libpython
        from cocotb_tools import runner  # noqa: F401
    except ImportError as error:
        raise not_installed("cocotb", installs("sim")) from error
    if find_libpython.find_libpython() is None:
        raise UnavailableError("cocotb needs a shared libpython, which this Python does not have", _INSTALL_PYTHON)
    return finders[name]()


def _find_verilator() -> Simulator:
    tools = find_tools()
    version_of_all = f"{tools.verilator_version} {tools.compiler_version}"
    return _Verilator(version_of_all, tools)


def _find_icarus() -> Simulator:
    found = [shutil.which(program) for program in ("iverilog", "vvp")]
    if not all(found):
        raise UnavailableError("Icarus Verilog (iverilog and vvp) was not found on PATH", _INSTALL_ICARUS)
    said = run([str(found[0]), "-V"])
    return _Icarus(said.partition("\n")[0].strip())


def _title(testbench: str) -> str:
    """Return the name of a core from the module of its testbench, ``....CORE.testbench``."""
    package, _, module = testbench.rpartition(".")
    return package.rpartition(".")[2] if module == "testbench" else module


def _asserting(testbench: str) -> str:
    """Return the patterns of the files with assertions: the helpers, and the folders of a testbench's tests."""
    specs = [
        importlib.util.find_spec(module)
        for module in dict.fromkeys(named_tests(testbench).values() if testbench else ())
    ]
    folders = [_HELPERS, *(Path(found.origin).parent for found in specs if found is not None and found.origin)]
    return shlex.join(str(folder / "*.py") for folder in folders)


def _reached(log: Path) -> tuple[int, int]:
    """Return the numbers of finished tests and of all tests from cocotb's log; zeros before the first test."""
    found = re.findall(r" running \S+ \((\d+)/(\d+)\)", log.read_text(errors="replace"))
    return (int(found[-1][0]) - 1, int(found[-1][1])) if found else (0, 0)


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
