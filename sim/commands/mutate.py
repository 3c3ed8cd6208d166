"""``ninefold mutate``: mutation tests of a core's testbench."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ninefold.hdl.commands.parameters import NamesCommand
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.mutation import Campaign, Verdict
    from ninefold.sim.mutation.verdicts import Judged

__all__ = ["mutate"]

_SEEDS = 2**31
#: Default of ``--size``; `ninefold.sim.mutation.sample.SIZE`, which is slow to import.
_SIZE = 200
_AT_ONCE = 2


class _MutateCommand(NamesCommand):
    """Command for a core, or ``all``."""

    extras = ("sim", "synth")

    def names(self) -> Sequence[str]:
        return [*super().names(), "all"]


@click.command(cls=_MutateCommand)
@click.option(
    "--mutant",
    "numbers",
    multiple=True,
    type=click.IntRange(1),
    help="Judge this mutant; may be repeated. Default: all.",
)
@click.option("--draw", is_flag=True, help="Draw a new sample of mutants and replace the stored one.")
@click.option("--seed", type=click.IntRange(0, _SEEDS - 1), default=1, show_default=True, help="Seed of --draw.")
@click.option(
    "--size", type=click.IntRange(1), default=_SIZE, show_default=True, help="Maximum number of mutants of --draw."
)
@click.option("--keep", "keeps", is_flag=True, help="Store the verdicts on all mutants for the documentation page.")
@click.option(
    "--comparisons",
    is_flag=True,
    help="Plant faults at the comparisons in the source instead, and judge them by proofs and testbenches.",
)
@click.option(
    "--at-once", type=click.IntRange(1), default=_AT_ONCE, show_default=True, help="Number of simulations in parallel."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, one object per mutant.")
@click.option(
    "--page",
    "as_page",
    is_flag=True,
    help="Print the documentation page from the stored verdicts, without running anything.",
)
@click.pass_context
def mutate(
    ctx: click.Context,
    core: str,
    numbers: tuple[int, ...],
    draw: bool,
    seed: int,
    size: int,
    keeps: bool,
    comparisons: bool,
    at_once: int,
    as_json: bool,
    as_page: bool,
) -> None:
    """Plant faults in the netlist of CORE one at a time, and report which faults its testbench detects.

    A mutant that passes all tests is proved equivalent to its core, or it survives because a legal input distinguishes
    it from the core. Earlier verdicts are reused. The exit code is 1 if fewer than 95 % of the
    mutants that are not equivalent are killed.

    With --comparisons, each comparison of signals in the source is changed by one and made constant. A proof or a
    testbench of a core that contains it must fail. The exit code is 1 if all pass and no reason is written down.
    """
    from ninefold.hdl.catalogue import own_names
    from ninefold.sim.mutation import results, subjects
    from ninefold.sim.mutation.page import page

    if as_page:
        click.echo(page(), nl=False)
        return
    if comparisons:
        if numbers or draw:
            raise click.UsageError("--comparisons takes all faults, so it goes with neither --mutant nor --draw")
        if core not in ("all", *own_names()):
            raise InputError(f"--comparisons judges the sources of Ninefold's cores, and {core} is not one of them")
        if _compare(core, keeps, at_once, as_json):
            ctx.exit(1)
        return
    if keeps and numbers:
        raise click.UsageError("--keep stores the verdicts on all mutants and cannot be combined with --mutant")
    failed = False
    for name in subjects() if core == "all" else [core]:
        with step(f"planting faults in {name}"):
            campaign = _campaign(name, draw, seed, size)
        verdicts = _judge(name, campaign, numbers, at_once, as_json)
        part = results.reached(verdicts)
        failed |= part < results.WANTED
        if not as_json:
            click.echo(_summary(name, verdicts, part))
        if keeps:
            results.keep(name, campaign.netlist.digest, verdicts)
    if failed:
        ctx.exit(1)


def _compare(core: str, keeps: bool, at_once: int, as_json: bool) -> bool:
    """Judge the faults at comparisons; return True if one without a written reason passes."""
    from ninefold.sim.mutation import verdicts
    from ninefold.sim.mutation.judges import JUDGES
    from ninefold.sim.mutation.reasons import REASONS

    judges = [judge for judge in JUDGES.values() if core in ("all", judge.name.split()[1])]
    faults = {fault for judge in judges for fault in judge.faults}
    judged: list[Judged] = []
    with step(f"judging faults at comparisons of {core}", count=lambda: (len(judged), len(faults))):
        for one in verdicts.run(faults, at_once):
            judged.append(one)
            if as_json:
                click.echo(_judged_json(one))
    passing = [one for one in judged if one.judge is None]
    unexplained = [one for one in passing if one.planted not in REASONS]
    if not as_json:
        for one in unexplained:
            click.echo(f"{core} {one}")
        counts = Counter(one.judge.partition(" ")[0] for one in judged if one.judge)
        failing = ", ".join(f"{counts[kind]} by a {kind}" for kind in ("proof", "testbench", "cover"))
        click.echo(f"{core:16} {len(faults)} faults at comparisons: {failing}, {len(passing)} by none")
    if keeps:
        verdicts.keep(judged)
    return bool(unexplained)


def _judged_json(one: Judged) -> str:
    at = one.planted.comparison
    found = {
        "path": at.path,
        "function": at.function,
        "comparison": at.text,
        "fault": one.planted.fault,
        "judge": one.judge,
        "said": one.said,
    }
    return json.dumps(found)


def _campaign(core: str, draw: bool, seed: int, size: int) -> Campaign:
    from ninefold.sim.cores import is_free
    from ninefold.sim.mutation import Campaign, sample, subject_of
    from ninefold.sim.mutation.netlist import flat

    subject = subject_of(core)
    netlist = flat(core, subject.parameters)
    if is_free(core, "testbench") and not draw:
        return Campaign(subject, netlist, sample.draw(netlist, seed, size))
    if draw:
        sample.write(core, sample.draw(netlist, seed, size))
    return Campaign(subject, netlist, sample.read(core, netlist))


def _judge(core: str, campaign: Campaign, numbers: Sequence[int], at_once: int, as_json: bool) -> list[Verdict]:
    from ninefold.sim.mutation import Status

    verdicts = []
    total = len(set(numbers)) or len(campaign.sample.mutants)
    # Verdicts arrive in batches, so progress counts simulated mutants.
    with step(f"judging mutants of {core}", count=lambda: (campaign.simulated(numbers or None), total)) as judging:
        for verdict in campaign.run(numbers or None, at_once):
            verdicts.append(verdict)
            judging.advance(f"{core} {verdict}")
            if as_json:
                click.echo(_json(core, verdict))
    if not as_json:
        for verdict in verdicts:
            if verdict.status in (Status.SURVIVED, Status.BOUNDED):
                click.echo(f"{core} {verdict}")
    return verdicts


def _summary(core: str, verdicts: Sequence[Verdict], part: float) -> str:
    from ninefold.sim.mutation import Status

    count = Counter(verdict.status for verdict in verdicts)
    counts = ", ".join(f"{count[status]} {status}" for status in Status)
    return f"{core:16} {counted(len(verdicts), 'mutant')}: {counts}; {part:.1%} of those not equivalent are killed"


def _json(core: str, verdict: Verdict) -> str:
    found = {
        "core": core,
        "mutant": verdict.mutant.number,
        "place": verdict.place,
        "signal": verdict.mutant.signal,
        "kind": verdict.mutant.kind,
        "status": verdict.status,
        "detail": verdict.detail,
        "cpu_s": round(verdict.cpu_s, 2),
    }
    return json.dumps(found)
