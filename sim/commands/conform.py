"""``ninefold conform``: hold every installed backend to the golden model of another package's operator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.conformance import Verdict

__all__ = ["conform"]


@click.command()
@click.argument("packages", nargs=-1)
@click.option(
    "--device", "devices", multiple=True, help="Judge this device; may be repeated. Default: one of every backend."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, one object for each operator and device.")
@click.pass_context
def conform(ctx: click.Context, packages: tuple[str, ...], devices: tuple[str, ...], as_json: bool) -> None:
    """Compare backends with the golden models of the operators in PACKAGES, and states after every step.

    PACKAGES are names of operators that other packages provide, or paths of such packages. By default all installed
    ones are judged. The exit code is 1 if an answer differs. The cases of Ninefold's own operators are part of its
    tests: run `pytest tests/conformance`.
    """
    from ninefold.sim.conformance import cases_of
    from ninefold.sim.conformance import conform as do

    failed = False
    for operator in _operators(packages):
        cases = cases_of(operator, "")
        for verdict in do(operator, cases, devices):
            failed |= bool(verdict.flaws)
            click.echo(_json(operator, verdict) if as_json else printable(_text(operator, verdict), lines=True))
    if failed:
        ctx.exit(1)


def _operators(packages: tuple[str, ...]) -> list[str]:
    from ninefold.spec.operators import OPERATORS, PACKAGES, UNUSABLE, add

    if unusable := next(((name, why) for name, why in UNUSABLE.items() if name in packages or not packages), None):
        raise InputError(f"the package of {unusable[0]} cannot be used: {unusable[1]}")
    if not packages and not PACKAGES:
        raise InputError("no other package provides an operator: name the path of one")
    names = []
    for package in packages or tuple(PACKAGES):
        if "/" in package:
            names.append(add(Path(package)).name)
        elif package in PACKAGES:
            names.append(package)
        elif package in OPERATORS:
            raise InputError(f"{package} is Ninefold's own: run `pytest tests/conformance -k {package}` in its sources")
        else:
            known = ", ".join(PACKAGES) or "none is installed"
            raise InputError(f"the operator must be the path of a package or one of others ({known}), not {package!r}")
    return names


def _text(operator: str, verdict: Verdict) -> str:
    if verdict.reason:
        return f"{operator}  {verdict.device}: not run: {verdict.reason}"
    lines = [f"{operator}  {verdict.device}: {counted(verdict.cases, 'case')}, {len(verdict.flaws) or 'none'} wrong"]
    lines += [f"  {case}: {flaw}" for case, flaw in verdict.flaws.items()]
    return "\n".join(lines)


def _json(operator: str, verdict: Verdict) -> str:
    found = {"operator": operator, "device": verdict.device, "cases": verdict.cases}
    return to_json({**found, "flaws": dict(verdict.flaws), "reason": verdict.reason}, indent=None)
