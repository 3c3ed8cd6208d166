"""``ninefold conform``: judge the operators and cores of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.conformance import Case, Verdict

__all__ = ["conform"]


@click.command()
@click.argument("packages", nargs=-1)
@click.option(
    "--device", "devices", multiple=True, help="Judge this device; may be repeated. Default: one of every backend."
)
@click.option("--board", default="", help="Judge the core on this board too: a URL, or the name of one to simulate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, one object for each device or part.")
@click.pass_context
def conform(ctx: click.Context, packages: tuple[str, ...], devices: tuple[str, ...], board: str, as_json: bool) -> None:
    """Judge the operators and cores of other packages.

    An operator's cases run on every backend and are compared with its golden model, a state after every step. A core's
    testbench, vectors and proofs run, and the cases of the operator that it implements. PACKAGES are names of such
    operators and cores, or paths of packages; by default all installed ones are judged. The exit code is 1 if anything
    differs. Ninefold's own operators and cores are judged by its tests.
    """
    from ninefold.sim.conformance import cases_of
    from ninefold.sim.conformance import conform as judge

    operators, cores = _judged(packages)
    if board and len(cores) != 1:
        raise click.UsageError(f"--board holds one core, not {len(cores)}")
    failed = False

    def show(name: str, verdict: Verdict) -> None:
        nonlocal failed
        failed |= bool(verdict.flaws)
        click.echo(_json(name, verdict) if as_json else printable(_text(name, verdict), lines=True))

    for operator in operators:
        for verdict in judge(operator, cases_of(operator, ""), devices):
            show(operator, verdict)
    for core in cores:
        from ninefold.sim.cores.conformance import conform_core

        operator, cases = _implemented(core)
        if operator and operator not in operators:
            for verdict in judge(operator, cases, devices):
                show(operator, verdict)
        for verdict in conform_core(core, board):
            show(Path(core).stem, verdict)
    if failed:
        ctx.exit(1)


def _judged(packages: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the names of operators, and the names or paths of cores, to judge."""
    from ninefold.spec.operators import OPERATORS, PACKAGES, UNUSABLE, add
    from ninefold.spec.registry import entries

    installed = entries("ninefold.cores")
    if unusable := next(((name, why) for name, why in UNUSABLE.items() if name in packages or not packages), None):
        raise InputError(f"the package of {unusable[0]} cannot be used: {unusable[1]}")
    if not packages and not PACKAGES and not installed:
        raise InputError("no other package provides an operator or a core: name the path of one")
    operators: list[str] = []
    cores: list[str] = []
    for package in packages or (*PACKAGES, *installed):
        if package.endswith(".py"):
            cores.append(package)
        elif "/" in package:
            parts = {path.stem for path in Path(package).glob("*.py")}
            if not parts & {"signature", "core"}:
                operators.append(add(Path(package)).name)  # it says what is missing
            operators += [add(Path(package)).name] if "signature" in parts else []
            cores += [package] if "core" in parts else []
        elif package in PACKAGES or package in installed:
            operators += [package] if package in PACKAGES else []
            cores += [package] if package in installed else []
        elif package in OPERATORS:
            raise InputError(f"{package} is Ninefold's own: run `pytest tests/conformance -k {package}` in its sources")
        else:
            known = ", ".join([*PACKAGES, *installed]) or "none is installed"
            raise InputError(f"a package must be a path, or the name of one ({known}), not {package!r}")
    return operators, cores


def _implemented(core: str) -> tuple[str, Mapping[str, Case]]:
    """Return the operator that a core implements, which it runs from now on, and its cases; empty if there is none.

    The cases are in the core's module or in the operator's package.
    """
    from ninefold.sim.conformance.cases import cases_of, drawn
    from ninefold.sim.rtl import Rtl
    from ninefold.sim.rtl.implemented import implementation_of
    from ninefold.spec.operators import PACKAGES

    if implementation_of(core) is None:
        return "", {}
    found = Rtl().implement(core)
    operator = found.operator.name
    if found.cases is None and operator not in PACKAGES:
        raise InputError(f"{core} must define cases(generator), which yields names and calls of {operator}")
    return operator, cases_of(operator, "") if found.cases is None else drawn(found.cases)


def _text(name: str, verdict: Verdict) -> str:
    if verdict.reason:
        return f"{name}  {verdict.device}: not run: {verdict.reason}"
    ran = {"testbench": "test", "vectors": "level", "proof": "task"}.get(verdict.device, "case")
    lines = [f"{name}  {verdict.device}: {counted(verdict.cases, ran)}, {len(verdict.flaws) or 'none'} wrong"]
    lines += [f"  {case}: {flaw}" for case, flaw in verdict.flaws.items()]
    return "\n".join(lines)


def _json(name: str, verdict: Verdict) -> str:
    found = {"name": name, "device": verdict.device, "cases": verdict.cases}
    return to_json({**found, "flaws": dict(verdict.flaws), "reason": verdict.reason}, indent=None)
