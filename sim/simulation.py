"""Benches of the cores as one call: elaborate, build, run, and keep the waveform of what failed."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.sim.simulators import SIMULATORS, Outcome, Simulator, find_simulator
from ninefold.sim.waveforms import FORMATS, check_format
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["Report", "repeat_command", "simulate"]


@dataclass(frozen=True)
class Report:
    """What a run of a bench showed.

    Attributes
    ----------
    outcomes : tuple of Outcome
        One a test, in the order of the bench.
    waveform : Path or None
        The waveform kept: of the whole run when it was asked for, else of the tests that failed.
    log : Path or None
        cocotb's log, kept beside a waveform.
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
    """Run the bench of a core.

    Parameters
    ----------
    core : str
        Name of the core, and of its bench in ``ninefold.sim.benches``.
    parameters : mapping of str to Any
        Parameters of the core.
    seed : int
        Seed of every stimulus, from 0.
    simulator : str
        One of ``SIMULATORS``.
    tests : sequence of str
        Tests to run; empty for all.
    waves : bool
        Record the whole run. Otherwise only what failed is run again and recorded.
    suffix : str
        Format of the waveform, one of ``ninefold.sim.waveforms.FORMATS``.
    folder : Path
        Where waveform and log are kept; a run that passes without `waves` leaves nothing there.
    begins : callable
        Called when all that was asked for is there, before the core is built.
    failed : callable
        ``failed(outcomes)``, called when a test has failed, before the tests that failed are recorded.

    Raises
    ------
    InputError
        A parameter, simulator, test or seed that there is not.
    UnavailableError
        The simulator is not installed.
    ToolError
        The simulator failed.
    """
    from ninefold.hdl.catalogue import make_core, parameters_of
    from ninefold.hdl.elaborate import verilog

    if seed < 0:
        raise InputError(f"seed must be an integer from 0 on, not {seed}")
    names = parameters_of(core)
    there = _tests_of(core)
    for test in tests:
        if test not in there:
            raise InputError(f"the bench {core} has no test {test!r}, only {', '.join(there)}")
    check_format(suffix)
    installed = find_simulator(simulator)
    component = make_core(core, **parameters)
    begins()
    defaults = {name: parameter.default for name, parameter in names.items() if name not in parameters}
    complete = {**defaults, **parameters}
    name = " ".join([core, *(f"{key}={value}" for key, value in parameters.items())])
    run = _Run(installed, verilog(component), core, name, json.dumps(complete), seed, folder, suffix)
    if waves:
        return Report(tuple(run.recorded(tests)), run.waveform, run.log)
    outcomes = tuple(run.plain(tests))
    wrong = [outcome.name for outcome in outcomes if not outcome.passed]
    if not wrong:
        return Report(outcomes, None, None)
    failed(outcomes)
    if all(outcome.passed for outcome in run.recorded(wrong)):
        # The failure hangs on the tests before: record them all.
        run.recorded(tests)
    return Report(outcomes, run.waveform, run.log)


def _tests_of(core: str) -> list[str]:
    """Read the names of a bench's tests, which can be imported in a simulator only."""
    bench = importlib.util.find_spec(f"ninefold.sim.benches.{core}")
    text = Path(bench.origin).read_text() if bench is not None and bench.origin is not None else ""
    return re.findall(r"^@cocotb\.test\(.*\)\nasync def (\w+)", text, re.MULTILINE)


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
    core: str
    #: With the parameters that were given.
    name: str
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
        with step(f"building the simulation of {self.name}"):
            built = self.simulator.build(self.verilog)
        return self._run(built, tests, None, None)

    def recorded(self, tests: Sequence[str]) -> list[Outcome]:
        with step(f"building the simulation of {self.name} for waveforms"):
            built = self.simulator.build(self.verilog, waves=True)
        return self._run(built, tests, self.waveform, self.log)

    def _run(self, built: Path, tests: Sequence[str], waveform: Path | None, log: Path | None) -> list[Outcome]:
        from ninefold.sim.benches.fields import VARIABLE

        return self.simulator.run(
            built,
            f"ninefold.sim.benches.{self.core}",
            self.seed,
            tests=tests,
            variables={VARIABLE: self.parameters},
            waveform=waveform,
            log=log,
        )
