"""``ninefold sim``: run a core's testbench in a simulator."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ninefold.hdl.commands.parameters import CoreCommand
from ninefold.sim.simulation import repeat_command
from ninefold.sim.simulation import simulate as run_bench
from ninefold.sim.simulators import SIMULATORS, Outcome
from ninefold.sim.waveforms import opening
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable

__all__ = ["simulate"]

_SEEDS = 2**32


@click.command("sim", cls=CoreCommand)
@click.option("--simulator", type=click.Choice(SIMULATORS), default=SIMULATORS[0], show_default=True)
@click.option("--seed", type=click.IntRange(0, _SEEDS - 1), help="Seed of every stimulus. Default: random.")
@click.option("--waves", is_flag=True, help="Record the whole run, not only failed tests.")
@click.option("--vcd", is_flag=True, help="Write waveforms as VCD. Default: FST.")
@click.option("--test", "tests", multiple=True, metavar="NAME", help="Run this test; may be repeated. Default: all.")
@click.pass_context
def simulate(
    ctx: click.Context,
    core: str,
    parameters: dict[str, Any],
    simulator: str,
    seed: int | None,
    waves: bool,
    vcd: bool,
    tests: tuple[str, ...],
) -> None:
    """Run the cocotb testbench of CORE, which checks it against its golden model.

    The exit code is 1 if a test fails; its waveform and log are then written to the current folder.
    """
    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    shown = False

    def show(outcomes: Sequence[Outcome]) -> None:
        nonlocal shown
        shown = True
        _print_table(core, outcomes)
        if wrong := [outcome.name for outcome in outcomes if not outcome.passed]:
            again = repeat_command(core, parameters, seed=chosen, simulator=simulator, tests=wrong)
            click.echo(f"repeat with: {again}")

    with step(f"simulating {core}"):
        report = run_bench(
            core,
            parameters,
            seed=chosen,
            simulator=simulator,
            tests=tests,
            waves=waves,
            suffix=".vcd" if vcd else ".fst",
            folder=Path.cwd(),
            begins=lambda: click.echo(f"seed {chosen}"),
            # Print the table first, because recording the failed tests may take minutes.
            failed=show,
        )
    if not shown:
        show(report.outcomes)
    if report.waveform is not None:
        click.echo(f"waveform: {printable(report.waveform)}")
        for line in opening(report.waveform):
            click.echo(f"open with: {printable(line)}")
        click.echo(f"log: {printable(report.log)}")
    if report.failed:
        ctx.exit(1)


def _print_table(core: str, outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=core, title_justify="left")
    table.add_column("test", no_wrap=True)
    table.add_column("result")
    for heading in ("cycles", "cycles/s"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        # cocotb gives times in whole milliseconds.
        rate = f"{outcome.cycles / outcome.seconds:,.0f}" if outcome.seconds else ""
        table.add_row(outcome.name, "passed" if outcome.passed else "FAILED", f"{outcome.cycles:,}", rate)
    Console().print(table)
    for outcome in outcomes:
        if not outcome.passed:
            said = outcome.message.splitlines()[0] if outcome.message else "failed"
            click.echo(printable(f"{outcome.name}: {said}"))
