"""``ninefold elaborate``: write a core or a miner as Verilog or RTLIL."""

from pathlib import Path
from typing import Any

import click

from ninefold.hdl.commands.parameters import DesignCommand
from ninefold.spec.errors import InputError
from ninefold.spec.files import written_aside
from ninefold.spec.progress import step

__all__ = ["elaborate"]

_FORMATS = {".v": "verilog", ".il": "rtlil"}
_TITLES = {"verilog": "Verilog", "rtlil": "RTLIL"}


@click.command(cls=DesignCommand)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: standard output].",
)
@click.option(
    "--format",
    "language",
    type=click.Choice(list(_FORMATS.values())),
    help="Language [default: by the file's suffix, .v or .il; Verilog on standard output].",
)
@click.option(
    "--name",
    default=None,
    help="Name of the top module [default: the core's name, with _streams around a Verilog module].",
)
def elaborate(
    core: str, parameters: dict[str, Any], output: Path | None, language: str | None, name: str | None
) -> None:
    """Write CORE as Verilog or RTLIL; the same parameters give the same bytes.

    CORE may also be a configuration, BOARD[/CONFIG] or a file. Its miner is written with a zero digest, and with its
    UART if it has one.
    """
    from ninefold.hdl.elaborate import rtlil, verilog

    language = _language(output, language)
    if output is not None and not output.parent.is_dir():
        raise InputError(f"the output must be in a folder that exists, not in {str(output.parent)!r}")
    called, component = _component(core, parameters)
    with step(f"elaborating {called}"):
        write = verilog if language == "verilog" else rtlil
        text = write(component, called.replace("/", "_") if name is None else name)
    if output is None:
        click.echo(text, nl=False)
    else:
        with written_aside(output) as aside:
            aside.write_text(text)


def _component(core: str, parameters: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and the component of a core or a configuration."""
    from ninefold.hdl.catalogue import find_core, make_core
    from ninefold.hdl.configurations import is_configuration, named
    from ninefold.hdl.own import Verilog

    if not is_configuration(core):
        entry = find_core(core)
        # A module of the user often has the name of its file.
        name = f"{entry.name}_streams" if isinstance(entry.core, Verilog) else entry.name
        return name, make_core(core, **parameters)
    if parameters:
        raise InputError(f"{core} does not take {', '.join(parameters)}: a configuration has no parameters")
    name, chosen = named(core)
    return name, chosen.component()


def _language(output: Path | None, named: str | None) -> str:
    meant = None if output is None else _FORMATS.get(output.suffix)
    if named is not None and meant not in (None, named):
        raise InputError(
            f"the suffix of {output} means {_TITLES[meant]}, but --format is {_TITLES[named]}: make them agree"
        )
    if output is not None and meant is None and named is None:
        raise InputError(
            f"the output must end in {' or '.join(_FORMATS)}, or --format must be given, not {output.name!r}"
        )
    return named or meant or "verilog"
