"""``ninefold prove``: formal proofs of a core."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ninefold.hdl.commands.parameters import NamesCommand
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.formal import Proof, ProofOutcome, Task

__all__ = ["prove"]


class _ProveCommand(NamesCommand):
    """Command for a core, a part with proofs, or ``all``."""

    extras = ("prove",)

    def names(self) -> Sequence[str]:
        from ninefold.sim.formal.catalogue import proof_names

        return [*proof_names(), "all"]


@click.command(cls=_ProveCommand)
@click.option("--task", "wanted", multiple=True, metavar="NAME", help="Run this task; may be repeated. Default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, one object per task.")
@click.option(
    "--page", "as_page", is_flag=True, help="Print the documentation page of all proofs, without running any."
)
@click.pass_context
def prove(ctx: click.Context, core: str, wanted: tuple[str, ...], as_json: bool, as_page: bool) -> None:
    """Prove the specification of CORE for all inputs and any back-pressure, at small parameters.

    Earlier results are reused. The exit code is 1 if a task fails; a trace that violates the assertion is then written
    to the current folder.
    """
    if as_page:
        from ninefold.sim.formal.page import page

        click.echo(page(), nl=False)
        return
    failed = False
    with step(f"proving {core}") as proving:
        from ninefold.sim.formal import prove as do

        asked = _tasks(core, wanted)
        proving.at(0, len(asked))
        for proof, task in asked:
            outcome = do(proof, task)
            proving.advance()
            failed |= not outcome.passed
            trace = _keep(outcome, f"{proof.core}-{task.name}.vcd")
            click.echo(_json(proof.core, task, outcome, trace) if as_json else _line(proof.core, task, outcome, trace))
    if failed:
        ctx.exit(1)


def _tasks(core: str, wanted: tuple[str, ...]) -> list[tuple[Proof, Task]]:
    """Return the named tasks of a core, or of all cores, each with its proof; all tasks if no name is given."""
    from ninefold.sim.formal.catalogue import proofs, proofs_of

    asked = [proof for name in (proofs() if core == "all" else [core]) for proof in proofs_of(name)]
    there = [task.name for proof in asked for task in proof.tasks]
    for name in wanted:
        if name not in there:
            raise InputError(f"{core} has no task {name!r}, only {', '.join(there)}")
    return [(proof, task) for proof in asked for task in proof.tasks if not wanted or task.name in wanted]


def _keep(outcome: ProofOutcome, name: str) -> Path | None:
    return None if outcome.trace is None else Path(shutil.copyfile(outcome.trace, Path.cwd() / name))


def _line(core: str, task: Task, outcome: ProofOutcome, trace: Path | None) -> str:
    verdict = "passed" if outcome.passed else "FAILED"
    how = f"{task.method}, {counted(task.depth, 'cycle')}"
    when = f"{outcome.seconds:.0f} s{', earlier' if outcome.cached else ''}"
    lines = [f"{core:14} {task.name:20} {how:24} {verdict} ({when})"]
    lines += [f"  {problem}" for problem in outcome.problems]
    lines += [f"  trace: {trace}"] if trace else []
    return "\n".join(lines)


def _json(core: str, task: Task, outcome: ProofOutcome, trace: Path | None) -> str:
    found: dict[str, Any] = {
        "core": core,
        "task": task.name,
        "method": task.method,
        "depth": task.depth,
        "passed": outcome.passed,
        "problems": outcome.problems,
        "seconds": round(outcome.seconds, 1),
        "cached": outcome.cached,
        "trace": None if trace is None else str(trace),
    }
    return json.dumps(found)
