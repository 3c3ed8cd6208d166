"""Runs of a core's testbench in one call: elaborate, build, run, and keep the waveforms of failed tests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.sim.simulators import SIMULATORS, Outcome, Simulator, find_simulator
from ninefold.sim.testbench.tests import named_tests
from ninefold.sim.waveforms import FORMATS, check_format
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["Report", "repeat_command", "simulate"]


@dataclass(frozen=True)
class Report:
    """Result of a run of a testbench.

    Attributes
    ----------
    outcomes : tuple of Outcome
        One outcome per test, in the order of the testbench.
    waveform : Path or None
        Waveform of the whole run if requested, otherwise of the failed tests; None if no waveform was kept.
    log : Path or None
        cocotb's log; None if no waveform was kept.
    """

    outcomes: tuple[Outcome, ...]
    waveform: Path | None
    log: Path | None

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests that failed."""
        return tuple(outcome.name for outcome in self.outcomes if not outcome.passed)


def simulate(
    core: str,
    parameters: Mapping[str, Any],
    *,
    seed: int,
    simulator: str = SIMULATORS[0],
    tests: Sequence[str] = (),
    waves: bool = False,
    suffix: str = FORMATS[0],
    folder: Path,
    begins: Callable[[], None] = lambda: None,
    failed: Callable[[Sequence[Outcome]], None] = lambda _: None,
) -> Report:
    """Run the testbench of a core.

    Parameters
    ----------
    core : str
        Name or path of the core.
    parameters : mapping of str to Any
        Parameters of the core.
    seed : int
        Seed of every stimulus, at least 0.
    simulator : str
        One of ``SIMULATORS``.
    tests : sequence of str
        Tests to run; empty for all.
    waves : bool
        Record the whole run. Otherwise only failed tests are recorded, in a second run.
    suffix : str
        Format of the waveform, one of ``ninefold.sim.waveforms.FORMATS``.
    folder : Path
        Folder for the waveform and the log; a run that passes without `waves` writes nothing to it.
    begins : callable
        Called once all inputs are checked and the tools are found, before the core is built.
    failed : callable
        ``failed(outcomes)``, called after a failure, before the failed tests are recorded.

    Raises
    ------
    InputError
        A parameter, simulator, test or seed is unknown or not allowed.
    UnavailableError
        The simulator is not installed.
    ToolError
        The simulator failed.
    """
    from ninefold.hdl.catalogue import find_core
    from ninefold.hdl.elaborate import verilog
    from ninefold.sim.cores import part_path, tested

    if seed < 0:
        raise InputError(f"seed must be at least 0, not {seed}")
    entry = find_core(core)
    testbench = part_path(core, "testbench")
    there = named_tests(testbench)
    for test in tests:
        if test not in there:
            raise InputError(f"the testbench of {entry.name} has no test {test!r}, only {', '.join(there)}")
    check_format(suffix)
    installed = find_simulator(simulator)
    component = tested(core, parameters)
    begins()
    known = entry.core.parameters
    complete = {**{name: one.default for name, one in known.items() if name not in parameters}, **parameters}
    title = " ".join([entry.name, *(f"{key}={value}" for key, value in parameters.items())])
    text = verilog(component)
    run = _Run(
        installed, text, entry.name, entry.absolute, testbench, title, json.dumps(complete), seed, folder, suffix
    )
    if waves:
        return Report(tuple(run.recorded(tests)), run.waveform, run.log)
    outcomes = tuple(run.plain(tests))
    wrong = [outcome.name for outcome in outcomes if not outcome.passed]
    if not wrong:
        return Report(outcomes, None, None)
    failed(outcomes)
    if all(outcome.passed for outcome in run.recorded(wrong)):
        # The failure depends on earlier tests, so record all.
        run.recorded(tests)
    return Report(outcomes, run.waveform, run.log)


def repeat_command(
    core: str, parameters: Mapping[str, Any], *, seed: int, simulator: str, tests: Sequence[str] = ()
) -> str:
    """Return the command line that repeats a run."""
    words = ["ninefold", "sim", core]
    for name, value in parameters.items():
        flag = name.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    words += ["--simulator", simulator, "--seed", str(seed)]
    for test in tests:
        words += ["--test", test]
    return shlex.join(words)


@dataclass(frozen=True)
class _Run:
    simulator: Simulator
    verilog: str
    #: Name of the core.
    core: str
    #: Its name or absolute path, by which the testbench finds it.
    given: str
    #: Module of the tests.
    testbench: str
    #: Name of the core with the given parameters.
    title: str
    parameters: str
    seed: int
    folder: Path
    suffix: str

    @property
    def waveform(self) -> Path:
        return self.folder.absolute() / f"{self.core}-{self.seed}{self.suffix}"

    @property
    def log(self) -> Path:
        return self.folder.absolute() / f"{self.core}-{self.seed}.log"

    def plain(self, tests: Sequence[str]) -> list[Outcome]:
        with step(f"building the simulation of {self.title}"):
            built = self.simulator.build(self.verilog)
        return self._run(built, tests, None, None)

    def recorded(self, tests: Sequence[str]) -> list[Outcome]:
        with step(f"building the simulation of {self.title} for waveforms"):
            built = self.simulator.build(self.verilog, waves=True)
        return self._run(built, tests, self.waveform, self.log)

    def _run(self, built: Path, tests: Sequence[str], waveform: Path | None, log: Path | None) -> list[Outcome]:
        from ninefold.sim.testbench.fields import CORE_VARIABLE, VARIABLE

        return self.simulator.run(
            built,
            self.testbench,
            self.seed,
            tests=tests,
            variables={VARIABLE: self.parameters, CORE_VARIABLE: self.given},
            waveform=waveform,
            log=log,
        )
