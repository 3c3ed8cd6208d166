"""``ninefold synth``: what a core takes of an ECP5, and how fast it runs there."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ninefold.hdl.commands.parameters import CoreCommand
from ninefold.hdl.commands.paths import path_table
from ninefold.spec.progress import step

if TYPE_CHECKING:
    from ninefold.hdl.synthesis import Implementation

__all__ = ["synthesise"]


@click.command(cls=CoreCommand)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Place and route with seeds 1 to N."
)
@click.option(
    "--device", default="85k", show_default=True, help="ECP5 device: 12k, 25k, 45k, 85k, um-25k, um5g-25k, ..."
)
@click.option("--speed", type=int, default=6, show_default=True, help="Speed grade, 6 to 8.")
@click.option("--target-mhz", type=float, default=250.0, show_default=True, help="Clock frequency to aim at.")
@click.option(
    "--router",
    default="router1",
    show_default=True,
    help="router1 gives the faster designs, router2 is much quicker on large ones.",
)
@click.option("--critical-path", is_flag=True, help="Print the path that limits the best seed.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def synthesise(
    core: str,
    parameters: dict[str, Any],
    seeds: int,
    device: str,
    speed: int,
    target_mhz: float,
    router: str,
    critical_path: bool,
    as_json: bool,
) -> None:
    """Synthesise CORE for an ECP5 with Yosys, place and route it with nextpnr, and print what they report.

    The core stands between shift registers, which keep pads out of its paths and are not counted. LUT4 are Yosys'
    cells, TRELLIS_COMB is what nextpnr packs them into; fmax is nextpnr's figure after routing.
    """
    with step(f"implementing {core}", 1 + seeds) as implementing:
        from ninefold.hdl.catalogue import make_core
        from ninefold.hdl.synthesis import Flow, implement

        flow = Flow(device, speed, target_mhz, router)
        component = make_core(core, **parameters)
        made = implement(component, flow, range(1, seeds + 1), implementing.advance)
    if as_json:
        click.echo(json.dumps(_report(core, parameters, made), indent=2))
        return
    console = Console()
    console.print(_resources(core, parameters, made))
    console.print(_frequencies(made))
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    console.print(f"LFE5 {flow.device}, speed grade {flow.speed}, {flow.router}; {versions}", highlight=False)
    if critical_path:
        console.print(path_table(f"critical path of seed {made.best.seed}", made.best.critical_path))


def _report(core: str, parameters: dict[str, Any], made: "Implementation") -> dict[str, Any]:
    return {
        "core": core,
        "parameters": parameters,
        "flow": asdict(made.flow),
        "versions": made.versions,
        "resources": asdict(made.resources),
        "best": {"seed": made.best.seed, "fmax_mhz": made.best.fmax_mhz},
        "seeds": [asdict(placement) for placement in made.placements],
    }


def _resources(core: str, parameters: dict[str, Any], made: "Implementation") -> Table:
    table = Table(title=f"{core}: {', '.join(f'{k} {v}' for k, v in parameters.items())}", title_justify="left")
    row = {
        "LUT4": made.resources.lut4,
        "TRELLIS_COMB": made.resources.trellis_comb,
        "FF": made.resources.ff,
        "block RAM": made.resources.block_ram,
        "LUT RAM 16x4": made.resources.lut_ram,
        "DSP": made.resources.dsp,
    }
    for heading in (*row, "fmax (MHz)"):
        table.add_column(heading, justify="right")
    table.add_row(*map(str, row.values()), f"{made.best.fmax_mhz:.1f}")
    return table


def _frequencies(made: "Implementation") -> Table:
    table = Table(title="after routing", title_justify="left")
    table.add_column("seed", justify="right")
    table.add_column("fmax (MHz)", justify="right")
    for placement in made.placements:
        best = " (best)" if placement is made.best else ""
        table.add_row(f"{placement.seed}{best}", f"{placement.fmax_mhz:.1f}")
    return table
