"""``ninefold registers``: export the register map and the page on the link."""

from __future__ import annotations

from pathlib import Path

import click

from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import FORMATS

__all__ = ["registers"]

_WRITERS = {**FORMATS, "link": link_page}


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_WRITERS)),
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
def registers(form: str, output: Path | None) -> None:
    """Print a board's register map."""
    text = _WRITERS[form]()
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
