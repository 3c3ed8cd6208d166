"""Check of a core by every tool: elaboration, testbench, proof, levels, mutants and synthesis, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

from ninefold.hdl.catalogue import find_core, make_core
from ninefold.hdl.elaborate import verilog
from ninefold.hdl.stream_board.configurations import VIRTUAL
from ninefold.sim.cores import is_free, part_of
from ninefold.spec.errors import InputError, ToolError, UnavailableError, UnsupportedError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

__all__ = ["STEPS", "Outcome", "check", "unavailable"]

#: Vectors and operations of the levels, and mutants: a check takes at most two minutes for a small core.
_VECTORS: Final = 12
_OPERATIONS: Final = 16
_MUTANTS: Final = 12
#: Share of the mutants that are not equivalent which the testbench must kill.
_KILLED: Final = 0.75

Status = Literal["passed", "FAILED", "not run"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of one step.

    Attributes
    ----------
    name : str
        Name of the step, as the command that runs it alone.
    status : {'passed', 'FAILED', 'not run'}
        Whether it passed.
    detail : str
        What it found, in a few words, or the reason for not running.
    seconds : float
        Wall time, builds included.
    lines : tuple of str
        Explanation of a failure.
    """

    name: str
    status: Status
    detail: str
    seconds: float
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    core: str
    seed: int
    folder: Path
    board: str


Result = tuple[bool, str, Sequence[str]]


def check(core: str, seed: int, folder: Path, board: str = VIRTUAL) -> Iterator[Outcome]:
    """Run all steps on a core, and yield the outcome of each.

    Parameters
    ----------
    core : str
        Name or path of the core.
    seed : int
        Seed of testbench and vectors.
    folder : Path
        Folder for waveforms of failures.
    board : str
        URL of the board that holds the core, or name of one to simulate.

    Raises
    ------
    InputError
        There is no such core, or its ports and its declaration disagree.
    """
    make_core(core, **find_core(core).core.defaults)
    for name, run in STEPS.items():
        began = perf_counter()
        lines: Sequence[str] = ()
        status: Status
        try:
            with step(f"{name} of {find_core(core).name}"):
                passed, detail, lines = run(_Asked(core, seed, folder, board))
            status = "passed" if passed else "FAILED"
        except (UnavailableError, UnsupportedError, _MissingError) as reason:
            status, detail = "not run", str(reason)
        except (InputError, ToolError) as error:
            status, detail, *rest = "FAILED", *str(error).splitlines()
            lines = rest
        yield Outcome(name, status, detail, perf_counter() - began, tuple(lines))


class _MissingError(Exception):
    """A core does not have the part that a step needs."""


def _need(asked: _Asked, part: str) -> None:
    if is_free(asked.core, part):
        return
    try:
        if part != "testbench":  # only a simulator can import it
            part_of(asked.core, part)
    except InputError as missing:
        raise _MissingError(str(missing)) from missing


def _elaborate(asked: _Asked) -> Result:
    core = find_core(asked.core).core
    text = verilog(make_core(asked.core, **core.defaults), "streams")
    return True, f"{counted(text.count(chr(10)), 'line')} of Verilog", ()


def _simulate(asked: _Asked) -> Result:
    from ninefold.sim.cores import part_path
    from ninefold.sim.simulation import repeat_command, simulate

    try:
        part_path(asked.core, "testbench")
    except InputError as missing:
        raise _MissingError(str(missing)) from missing
    parameters = find_core(asked.core).core.defaults
    report = simulate(asked.core, parameters, seed=asked.seed, folder=asked.folder)
    tests = counted(len(report.outcomes), "test")
    if not report.failed:
        cycles = sum(test.cycles for test in report.outcomes)
        return True, f"{tests}, {cycles:,} cycles, seed {asked.seed}", ()
    lines = [f"{test.name}: {test.message.partition(chr(10))[0]}" for test in report.outcomes if not test.passed]
    again = repeat_command(asked.core, parameters, seed=asked.seed, simulator="verilator", tests=report.failed)
    return (
        False,
        f"{len(report.failed)} of {tests}, seed {asked.seed}",
        [*lines, f"repeat with: {again}", f"waveform: {report.waveform}"],
    )


def _prove(asked: _Asked) -> Result:
    from ninefold.sim.formal import prove
    from ninefold.sim.formal.catalogue import proofs_of

    _need(asked, "proof")
    tasks = [(proof, task) for proof in proofs_of(asked.core) for task in proof.tasks]
    lines: list[str] = []
    for proof, task in tasks:
        outcome = prove(proof, task)
        if not outcome.passed:
            lines += [f"{task.name}: {problem}" for problem in outcome.problems or ("failed",)]
            lines += [f"trace: {outcome.trace}"] if outcome.trace else []
    depths = ", ".join(f"{task.method}, {counted(task.depth, 'cycle')}" for _, task in tasks)
    return (
        not lines,
        f"{counted(len(tasks), 'task')}: {depths}" if len(tasks) < 3 else counted(len(tasks), "task"),
        lines,
    )


def _level(level: str) -> Callable[[_Asked], Result]:
    def run(asked: _Asked) -> Result:
        from ninefold.sim.levels import Setup, compare
        from ninefold.sim.levels.cases import case_of

        _need(asked, "vectors")
        name = find_core(asked.core).name
        case = case_of(asked.core, {}, _VECTORS, asked.seed, _OPERATIONS)
        (result,) = compare(case, Setup(asked.folder, f"compare-{name}", asked.board), (level,))
        if result.status == "not run":
            raise UnsupportedError(result.detail)
        found = result.divergence
        if found is None:
            return True, f"{counted(result.elements, 'element')} equal, seed {asked.seed}", ()
        at = f"{found.place.operator}, {found.place.vector}: {found.value} is {found.found}"
        lines = [f"{at} where {found.expected} is right", *(f"waveform: {path}" for path in found.waveforms)]
        return False, f"differs in step {found.place.step}", lines

    return run


def _mutate(asked: _Asked) -> Result:
    from ninefold.sim.mutation import Campaign, Status, results, sample, subject_of
    from ninefold.sim.mutation.netlist import flat

    try:
        subject = subject_of(asked.core)
    except InputError as missing:
        raise _MissingError(str(missing)) from missing
    netlist = flat(asked.core, subject.parameters)
    drawn = sample.draw(netlist, 1, _MUTANTS) if is_free(asked.core, "testbench") else sample.read(asked.core, netlist)
    verdicts = list(Campaign(subject, netlist, drawn).run(range(1, min(_MUTANTS, len(drawn.mutants)) + 1)))
    survived = [str(verdict) for verdict in verdicts if verdict.status in (Status.SURVIVED, Status.BOUNDED)]
    part = results.reached(verdicts)
    killed = sum(verdict.status is Status.KILLED for verdict in verdicts)
    return part >= _KILLED, f"{killed} of {counted(len(verdicts), 'mutant')} killed", survived


def _synthesise(family: str) -> Callable[[_Asked], Result]:
    def run(asked: _Asked) -> Result:
        from ninefold.hdl.synthesis import Flow, implement

        flow = Flow(family=family)
        made = implement(make_core(asked.core, **find_core(asked.core).core.compared), flow)
        cells = [f"{getattr(made.resources, name)} {label}" for name, label in flow.parts.counts.items()]
        used = ", ".join(cell for cell in cells if not cell.startswith("0 "))
        return True, f"{used}; {made.best.fmax_mhz:.0f} MHz on {flow.device}", ()

    return run


#: Steps in order, the quickest first, with the function that runs each.
STEPS: Final[dict[str, Callable[[_Asked], Result]]] = {
    "elaborate": _elaborate,
    "sim": _simulate,
    "compare rtl": _level("rtl"),
    "compare board": _level("board"),
    "prove": _prove,
    "compare ice40": _level("ice40"),
    "compare ecp5": _level("ecp5"),
    "mutate": _mutate,
    "synth ice40": _synthesise("ice40"),
    "synth ecp5": _synthesise("ecp5"),
    "synth gowin": _synthesise("gowin"),
}


def unavailable() -> dict[str, str]:
    """Return the reason for each step whose tools are not installed; `check` does not run it."""
    found = {}
    for name in STEPS:
        try:
            _find_tools(name)
        except UnavailableError as error:
            found[name] = str(error)
    return found


def _find_tools(name: str) -> None:
    """Raise `UnavailableError` unless the tools of a step are installed."""
    from ninefold.hdl import yosys
    from ninefold.hdl.families import FAMILIES
    from ninefold.hdl.tools import version_of
    from ninefold.sim.formal.prover import find_tools
    from ninefold.sim.simulators import find_simulator
    from ninefold.sim.verilated import tools_or_reason

    kind, _, of = name.partition(" ")
    yosys.version()
    if kind in ("sim", "mutate"):
        find_simulator("verilator")
    elif kind == "compare":
        tools_or_reason()
    elif kind == "prove":
        find_tools()
    elif kind == "synth":
        version_of(FAMILIES[of].program, FAMILIES[of].install)
