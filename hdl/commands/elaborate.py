"""``ninefold elaborate``: a core or a miner as Verilog or RTLIL."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from ninefold.hdl.commands.parameters import DesignCommand
from ninefold.spec.errors import InputError

__all__ = ["elaborate"]

_FORMATS = {".v": "verilog", ".il": "rtlil"}


@click.command(cls=DesignCommand)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; standard output if not given.",
)
@click.option(
    "--format",
    "language",
    type=click.Choice(list(_FORMATS.values())),
    help="Language; if not given, that of the file's suffix (.v or .il), and Verilog on standard output.",
)
@click.option("--name", default=None, help="Name of the top module; the core's name if not given.")
def elaborate(
    core: str, parameters: dict[str, Any], output: Path | None, language: str | None, name: str | None
) -> None:
    """Write CORE as Verilog or RTLIL; the same parameters give the same bytes.

    CORE may also be a configuration, BOARD/CONFIG: its miner with a zero digest, behind its UART if it has one.
    """
    from ninefold.hdl.elaborate import rtlil, verilog

    if language is None:
        language = _language(output)
    if output is not None and not output.parent.is_dir():
        raise InputError(f"the output must be in a folder that exists, not in {str(output.parent)!r}")
    component = _component(core, parameters)
    text = (verilog if language == "verilog" else rtlil)(component, core.replace("/", "_") if name is None else name)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


def _component(core: str, parameters: dict[str, Any]) -> Any:
    from ninefold.hdl.catalogue import make_core
    from ninefold.hdl.configurations import CONFIGURATIONS

    if core not in CONFIGURATIONS:
        return make_core(core, **parameters)
    if parameters:
        raise InputError(f"{core} does not take {', '.join(parameters)}: a configuration has no parameters")
    return CONFIGURATIONS[core].component()


def _language(output: Path | None) -> str:
    if output is None:
        return "verilog"
    if output.suffix not in _FORMATS:
        raise InputError(
            f"the output must end in {' or '.join(_FORMATS)}, or --format must be given, not {output.name!r}"
        )
    return _FORMATS[output.suffix]


def _write(path: Path, text: str) -> None:
    """Write aside and rename, so that no half of a file is ever seen."""
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(aside).chmod(0o666 & ~umask)
        Path(aside).replace(path)
    except OSError as error:
        # A failed write names no file by itself.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        Path(aside).unlink(missing_ok=True)
