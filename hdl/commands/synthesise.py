"""``ninefold synth``: report the cells and the maximum clock of a core on a device family."""

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
    "--family",
    type=click.Choice(["ecp5", "ice40", "gowin"]),
    default="ecp5",
    show_default=True,
    help="Device family; gowin needs the extra gowin.",
)
@click.option(
    "--device",
    default="",
    help="Device: 12k, 25k, 45k, 85k (default), um-25k, um5g-25k, ... of ecp5; up5k (default), hx1k, hx4k, hx8k, lp1k, "
    "lp4k, lp8k of ice40; GW1NR-LV9 (default), GW1NZ-LV1, GW2AR-LV18 of gowin.",
)
@click.option("--package", default="", help="Package [default: the first of the device, e.g. CABGA381, sg48, QN88P].")
@click.option("--speed", type=int, help="Speed grade of an ECP5, 6 to 8 [default: 6].")
@click.option("--target-mhz", type=float, default=250.0, show_default=True, help="Target clock frequency.")
@click.option(
    "--router",
    default="router1",
    show_default=True,
    help="router1 gives faster designs; router2 runs much faster on large designs.",
)
@click.option("--critical-path", is_flag=True, help="Print the path that limits the clock with the best seed.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def synthesise(
    core: str,
    parameters: dict[str, Any],
    seeds: int,
    family: str,
    device: str,
    package: str,
    speed: int | None,
    target_mhz: float,
    router: str,
    critical_path: bool,
    as_json: bool,
) -> None:
    """Synthesise CORE with Yosys, place and route it with nextpnr, and print resources and fmax.

    The core is placed between shift registers, which keep pads out of its paths and are not counted. LUT4 and other
    cells are counted in Yosys' netlist; on ECP5, TRELLIS_COMB is the number of cells after packing. fmax is reported by
    nextpnr after routing. Memories and multipliers are mapped as for bitstreams.
    """
    with step(f"implementing {core}", 1 + seeds) as implementing:
        from ninefold.hdl.catalogue import make_core
        from ninefold.hdl.synthesis import Flow, implement

        flow = Flow(device, speed, target_mhz, router, family, package)
        component = make_core(core, **parameters)
        made = implement(component, flow, range(1, seeds + 1), implementing.advance)
    if as_json:
        click.echo(json.dumps(_report(core, parameters, made), indent=2))
        return
    console = Console()
    console.print(_resources(core, parameters, made))
    console.print(_frequencies(made))
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    grade = "" if flow.speed is None else f", speed grade {flow.speed}"
    console.print(f"{family} {flow.device}-{flow.package}{grade}, {flow.router}; {versions}", highlight=False)
    if critical_path:
        console.print(path_table(f"critical path of seed {made.best.seed}", made.best.critical_path))


def _report(core: str, parameters: dict[str, Any], made: "Implementation") -> dict[str, Any]:
    flow = asdict(made.flow)
    resources = asdict(made.resources)
    return {
        "core": core,
        "parameters": parameters,
        "family": flow.pop("family"),
        "package": flow.pop("package"),
        "flow": {name: value for name, value in flow.items() if value is not None},
        "versions": made.versions,
        "resources": {name: resources[name] for name in made.flow.parts.counts},
        "best": {"seed": made.best.seed, "fmax_mhz": made.best.fmax_mhz},
        "seeds": [asdict(placement) for placement in made.placements],
    }


def _resources(core: str, parameters: dict[str, Any], made: "Implementation") -> Table:
    table = Table(title=f"{core}: {', '.join(f'{k} {v}' for k, v in parameters.items())}", title_justify="left")
    row = {heading: getattr(made.resources, name) for name, heading in made.flow.parts.counts.items()}
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
