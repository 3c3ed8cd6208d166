"""``ninefold wave``: demonstrations of the wave family."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.errors import InputError
from ninefold.spec.files import check_folders, written_aside
from ninefold.spec.terminal import printable

__all__ = ["demo", "wave"]

_EXTENT = click.IntRange(2, 256)


@click.group()
def wave() -> None:
    """Show operators of the wave family."""


@wave.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("wave.html"),
    show_default=True,
    help="Write the page to this file, and a PNG of eight frames next to it.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="Run on this device; may be repeated [default: one device of each backend that can].",
)
@click.option("--height", type=_EXTENT, default=64, show_default=True, help="Rows of the lattice.")
@click.option("--width", type=_EXTENT, default=64, show_default=True, help="Columns of the lattice.")
@click.option("--frames", type=click.IntRange(2, 1000), default=120, show_default=True, help="Frames of the animation.")
@click.option("--steps", type=click.IntRange(1, 1000), default=2, show_default=True, help="Steps between two frames.")
@click.pass_context
def demo(
    context: click.Context, output: Path, devices: tuple[str, ...], height: int, width: int, frames: int, steps: int
) -> None:
    """Run a wave on several devices, compare every bit, and write a page.

    The wave runs on a lattice of integers, and the page shows it without a network. Devices that cannot run it are
    listed with the reason. Exits with 1 when devices differ, and with 3 when none could run the wave.
    """
    from ninefold.host.own import implement
    from ninefold.host.scheduler import Scheduler
    from ninefold.host.wave_demo import CORE, Plan, contact_sheet, levels, outcomes, verdict, wave_page

    if output.suffix not in (".html", ".htm"):
        raise InputError(f"the page's name must end in .html, not {output.name!r}")
    if len(set(devices)) < len(devices):
        raise InputError(f"each device may be named once, not {', '.join(devices)}")
    check_folders(output)
    plan = Plan(height, width, frames, steps)
    for name in devices:
        place, _, core = name.rpartition("/")
        if place.startswith("board:") and core == CORE:
            implement(core, place)
    with Scheduler() as scheduler:
        found = outcomes(scheduler, plan, devices)
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("device", no_wrap=True)
    table.add_column("result", overflow="fold")
    for one in found:
        table.add_row(
            Text(printable(one.device)), Text(printable(one.text), style="" if one.frames is not None else "dim")
        )
    console.print(table)
    sentence, equal = verdict(found)
    console.print(printable(sentence), style={True: "bold green", False: "bold red", None: "bold"}[equal], markup=False)
    first = next((one.frames for one in found if one.frames is not None), None)
    if first is None:
        context.exit(3)
    shown = levels(first[:, 0])
    sheet = contact_sheet(shown)
    contents = {output: wave_page(plan, found, shown, sheet).encode(), output.with_suffix(".png"): sheet}
    for path, content in contents.items():
        with written_aside(path) as file:
            file.write_bytes(content)
        click.echo(f"wrote {printable(path)}", err=True)
    if equal is False:
        context.exit(1)
