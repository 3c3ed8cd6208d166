"""``ninefold registers``: export the register map and the page on the link."""

from __future__ import annotations

from pathlib import Path

import click

from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import FORMATS, MINER, core_map
from ninefold.spec.errors import InputError

__all__ = ["registers"]

_LINK = "link"


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, _LINK]),
    default="md",
    show_default=True,
    help="JSON, C header, CMSIS-SVD or Markdown; 'link' writes the page on the link.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: standard output].",
)
@click.option("--core", metavar="CORE", help="Core of your own, or its manifest, whose board has the registers.")
def registers(form: str, output: Path | None, core: str | None) -> None:
    """Print a board's register map."""
    if core is None:
        text = link_page() if form == _LINK else FORMATS[form](MINER)
    elif form == _LINK:
        raise InputError("the page on the link is the same for all cores: leave --core out")
    else:
        from ninefold.drivers.stream_core import interface_of

        text = FORMATS[form](core_map(Path(core).stem, interface_of(core, {}).registers))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
