"""``ninefold core``: what a core is, and all checks of it in one table."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ninefold.hdl.commands.parameters import CoreCommand, NamesCommand
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.own.check import Outcome
    from ninefold.spec.streams import CoreRegister

__all__ = ["core"]

_SEEDS = 2**32


@click.group()
def core() -> None:
    """Describe a core, or run all checks on it."""


@core.command(cls=CoreCommand)
def info(core: str, parameters: dict[str, Any]) -> None:
    """Print the ports, streams, parameters and parts of CORE."""
    with step(f"reading {core}"):
        lines = list(_described(core, parameters))
    for line in lines:
        click.echo(printable(line))


@core.command(cls=NamesCommand)
@click.argument("others", nargs=-1, metavar="[CORE]...")
@click.option("--seed", type=click.IntRange(0, _SEEDS - 1), help="Seed of every stimulus. Default: random.")
@click.option("--board", help="Board that holds CORE: a URL, or the name of one to simulate. Default: virtual.")
@click.option("--json", "form", flag_value="json", help="Print JSON Lines, one object per step.")
@click.option("--markdown", "form", flag_value="markdown", help="Print the table as Markdown.")
@click.pass_context
def check(
    ctx: click.Context, core: str, others: tuple[str, ...], seed: int | None, board: str | None, form: str | None
) -> None:
    """Simulate, prove, compare, mutate and synthesise each CORE.

    One table lists the results. Elaboration and testbench take the default parameters of the core, the other steps its
    small ones. A step whose tool or part is missing is not run, and the table says why. A failure is explained after
    the table, and its waveform is written to the current folder. The exit code is 1 if a step failed.
    """
    from ninefold.hdl.catalogue import find_core
    from ninefold.hdl.stream_board.configurations import VIRTUAL
    from ninefold.sim.own.check import STEPS, unavailable
    from ninefold.sim.own.check import check as run

    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    cores = {name: find_core(name).name for name in (core, *others)}
    missing = unavailable()
    click.echo(f"steps: {', '.join(name for name in STEPS if name not in missing)}", err=True)
    for name, reason in missing.items():
        click.echo(printable(f"not run: {name}: {reason}"), err=True)
    rows: list[tuple[str, Outcome]] = []
    if board is not None and others:
        raise click.UsageError(f"--board holds one core, not {len(cores)}")
    for given, name in cores.items():
        with step(f"checking {given}"):
            for outcome in run(given, chosen, Path.cwd(), board or VIRTUAL):
                rows.append((name, outcome))
                if form == "json":
                    click.echo(_json(given, chosen, outcome))
    if form == "markdown":
        _print_markdown(rows)
    elif form is None:
        _print(rows)
    if any(outcome.status == "FAILED" for _, outcome in rows):
        ctx.exit(1)


def _print(rows: Sequence[tuple[str, Outcome]]) -> None:
    table = Table()
    table.add_column("core", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("result", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for name, outcome in rows:
        table.add_row(name, outcome.name, f"{outcome.seconds:.1f}", outcome.status, printable(outcome.detail))
    Console(highlight=False, markup=False).print(table)
    _explain(rows)


def _print_markdown(rows: Sequence[tuple[str, Outcome]]) -> None:
    click.echo("| core | step | seconds | result | detail |\n| --- | --- | ---: | --- | --- |")
    for name, outcome in rows:
        detail = printable(outcome.detail).replace("|", "\\|")
        click.echo(f"| {name} | {outcome.name} | {outcome.seconds:.1f} | {outcome.status} | {detail} |")
    _explain(rows)


def _explain(rows: Sequence[tuple[str, Outcome]]) -> None:
    """Print the explanations of failures; they name the core if there are several."""
    several = len({name for name, _ in rows}) > 1
    for name, outcome in rows:
        for line in outcome.lines:
            click.echo(printable(f"{f'{name}, ' if several else ''}{outcome.name}: {line}"))


def _json(core: str, seed: int, outcome: Outcome) -> str:
    return json.dumps(
        {
            "core": core,
            "seed": seed,
            "step": outcome.name,
            "status": outcome.status,
            "detail": outcome.detail,
            "seconds": round(outcome.seconds, 1),
            "lines": outcome.lines,
        }
    )


def _described(name: str, parameters: dict[str, Any]) -> Iterator[str]:
    from ninefold.hdl.catalogue import find_core, make_core
    from ninefold.hdl.core import PARTS
    from ninefold.hdl.own.verilog import VerilogCore
    from ninefold.sim.cores import has_part, is_free
    from ninefold.sim.own.contract import contract_of

    entry = find_core(name)
    made = make_core(name, **parameters)
    yield f"{entry.name}: {_kind(made)}"
    yield f"parameters: {', '.join(f'{key}={value}' for key, value in parameters.items()) or 'none'}"
    if isinstance(made, VerilogCore):
        level = "low" if made.reset_low else "high"
        yield f"clock: {made.clock}"
        yield f"reset: {made.reset}, active {level}" if made.reset else "reset: none"
    contract = contract_of(name, parameters)
    for channel in contract.channels:
        kind = "input" if channel.stream.input else "output"
        packets = ", packets" if channel.packets else ""
        latency = contract.latency.get(channel.name)
        late = "" if latency is None else f", latency {latency}"
        yield f"{kind} {channel.name}: {'; '.join(map(str, channel.columns))}{packets}{late}"
        if isinstance(made, VerilogCore):
            yield f"  ports: {', '.join(map(str, made.found[channel.name].ports))}"
    for register in _registers(made):
        kind, reset = ("control", f", {register.reset} after a reset") if "w" in register.access else ("status", "")
        yield f"{kind} register {register.name}: {counted(register.bits, 'bit')}{reset}"
    if isinstance(made, VerilogCore) and made.unused:
        yield f"unused outputs: {', '.join(map(str, made.unused))}"
    for part in PARTS:
        if is_free(name, part):
            yield f"{part}: from streams and golden"
        elif part == "mutants" and is_free(name, "testbench"):
            yield f"{part}: drawn from the netlist"
        else:
            yield f"{part}: {'its own' if has_part(name, part) else 'none'}"


def _registers(made: Any) -> Sequence[CoreRegister]:
    """Return the registers that a board gives a core; none if no board can hold it."""
    from ninefold.hdl.stream_board.interface import interface_of

    try:
        return interface_of(made).registers
    except InputError:
        return ()


def _kind(made: Any) -> str:
    from ninefold.hdl.own.verilog import VerilogCore

    if isinstance(made, VerilogCore):
        return f"Verilog module {made.module.name}"
    return f"Amaranth component {type(made).__name__}"
