"""``ninefold build``: build the bitstream and the manifest of a configuration."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ninefold.hdl.commands.paths import path_table
from ninefold.spec.errors import InputError
from ninefold.spec.manifest import manifests
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable

if TYPE_CHECKING:
    from ninefold.hdl.bitstream import Built, Plan

__all__ = ["build"]

#: Exit code if the design misses its timing.
_MISSED = 1


@click.command()
@click.argument("name", metavar="[BOARD[/CONFIG]|FILE]", required=False)
@click.option(
    "--list",
    "as_list",
    is_flag=True,
    help="List the bitstreams that can be built, with the figures of the committed manifests.",
)
@click.option("--core", metavar="CORE", help="Build a core of your own on BOARD, behind the link.")
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of CORE; may be repeated."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Place and route with seeds 1 to N, and keep the fastest [default: only the seed of the committed manifest].",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Folder for the bitstream and the manifest, named BOARD/CONFIG with their suffixes.",
)
@click.option("--critical-path", is_flag=True, help="Print the path that limits the clock.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest, or the list, as JSON.")
@click.pass_context
def build(
    ctx: click.Context,
    name: str | None,
    as_list: bool,
    core: str | None,
    parameters: tuple[str, ...],
    seeds: int | None,
    output: Path,
    critical_path: bool,
    as_json: bool,
) -> None:
    """Synthesise, place and route BOARD/CONFIG with the open tools, and write its bitstream and manifest.

    FILE describes a configuration outside the catalogue (docs/howto/explore.md); `ninefold explore` writes such files.
    With --core, the bitstream holds a core of your own behind the link (docs/howto/own-core.md), and the manifest
    describes its streams and registers.
    The same inputs give the same bytes, and cached steps are reused. If the design misses its timing, the bitstream is
    written, its manifest says so, and the exit code is 1.
    """
    if (core is not None and name is None) or (parameters and core is None):
        raise InputError("--core needs BOARD" if core is not None else "--parameter needs --core")
    if as_list or name is None:
        _catalogue(as_json)
        return
    began = time.monotonic()
    tried = 1 if seeds is None else seeds
    with step(f"building {name}", 2 + tried) as building:
        from ninefold.hdl.bitstream import build as make
        from ninefold.hdl.bitstream import core_plan, export, plan

        planned = (
            plan(name)
            if core is None
            else core_plan(name, "#".join([core, *[",".join(parameters)] * bool(parameters)]))
        )
        building.advance(f"elaborated: digest {planned.digest[:16]}, {time.monotonic() - began:.0f} s")
        built = make(planned, _seeds(planned, seeds), building.advance)
    bitstream, _ = export(built, output)
    if as_json:
        click.echo(built.manifest.to_json(), nl=False)
    else:
        _show(built, bitstream, critical_path, time.monotonic() - began)
    if not built.manifest.timing_met:
        click.echo(
            f"{planned.name} misses its timing: {built.manifest.missed}; `ninefold program` refuses it", err=True
        )
        ctx.exit(_MISSED)


def _seeds(planned: "Plan", count: int | None) -> range:
    if count is not None:
        return range(1, count + 1)
    committed = manifests().get(planned.name)
    seed = committed.seed if committed is not None and committed.digest == planned.digest else 1
    return range(seed, seed + 1)


def _show(built: "Built", bitstream: Path, critical_path: bool, seconds: float) -> None:
    manifest = built.manifest
    console = Console()
    table = Table(title=f"{manifest.name} on {manifest.device}, seed {manifest.seed}", title_justify="left")
    for heading in ("resource", "used", "available"):
        table.add_column(heading, justify="left" if heading == "resource" else "right")
    for resource, usage in manifest.resources.items():
        table.add_row(resource, f"{usage.used:,}", "" if usage.available is None else f"{usage.available:,}")
    console.print(table)
    for name, clock in manifest.clocks.items():
        verdict = "met" if clock.met else "MISSED"
        console.print(f"{name}: {clock.fmax_mhz:.2f} of {clock.constraint_mhz:g} MHz, {verdict}", highlight=False)
    if critical_path:
        console.print(path_table("critical path", manifest.critical_path))
    click.echo(
        f"{printable(bitstream)}: digest {manifest.digest[:16]}, built in {manifest.seconds:.0f} s, now {seconds:.0f} s"
    )


def _catalogue(as_json: bool) -> None:
    from ninefold.hdl.bitstream.plans import buildable
    from ninefold.hdl.boards import BOARDS
    from ninefold.hdl.configurations import CONFIGURATIONS

    records = []
    for name in buildable():
        board, miner = BOARDS[name.partition("/")[0]], CONFIGURATIONS[name].miner
        made = manifests().get(name)
        records.append(
            {
                "name": name,
                "device": board.part,
                "store": f"{miner.depth} x {miner.dimensions}",
                "lanes": miner.lanes,
                "results": miner.k or miner.keep,
                "clock_mhz": miner.clock_hz / 1e6,
                "lut4": made.resources["lut4"].used if made else None,
                "fmax_mhz": min(clock.fmax_mhz for clock in made.clocks.values()) if made else None,
                "timing_met": made.timing_met if made else None,
            }
        )
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    table = Table(
        title="BOARD/CONFIG, with the figures of the committed manifests",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for heading in ("name", "store", "lanes", "results", "MHz", "LUT4", "fmax", "timing"):
        table.add_column(heading, justify="left" if heading in {"name", "timing"} else "right", no_wrap=True)
    for record in records:
        shown = ["" if value is None else str(value) for key, value in record.items() if key != "device"]
        table.add_row(*shown[:-1], {"": "not built", "True": "met", "False": "missed"}[shown[-1]])
    Console().print(table)
