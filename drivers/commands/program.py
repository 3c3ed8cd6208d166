"""``ninefold program``: load a built bitstream into its board."""

import time
from pathlib import Path

import click

from ninefold.drivers.program import checked, full_name
from ninefold.drivers.program import program as load
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable

__all__ = ["program"]


@click.command()
@click.argument("name", metavar="BOARD[/CONFIG]")
@click.option(
    "--from",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build"),
    show_default=True,
    help="Output folder of `ninefold build`.",
)
@click.option("--force", is_flag=True, help="Load the bitstream even if it misses its timing.")
def program(name: str, folder: Path, force: bool) -> None:
    """Load the bitstream of BOARD/CONFIG into that board with openFPGALoader.

    The bitstream is first checked against its manifest. A bitstream that misses its timing is refused.
    """
    name = full_name(name, folder)
    manifest, bitstream = checked(name, folder, force)
    if not manifest.timing_met:
        click.echo(printable(f"{name} misses its timing: {manifest.missed}; results may be wrong"), err=True)
    click.echo(f"loading {printable(bitstream)} ...", err=True)
    began = time.monotonic()
    with step(f"loading {name}"):
        load(name, bitstream)
    click.echo(f"loaded {name}, digest {manifest.digest[:16]}, in {time.monotonic() - began:.1f} s")
