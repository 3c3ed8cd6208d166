"""``ninefold devices`` and ``ninefold doctor``: devices found, devices missing and how to get them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ninefold.spec.errors import InputError
from ninefold.spec.files import check_folders
from ninefold.spec.progress import step
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.scheduler import DeviceStatus, Scheduler

__all__ = ["devices", "doctor"]

_DAMAGED: Final = "damaged"
#: Least width of a column of text.
_TEXT_CELLS: Final = 24


@click.command()
@click.option(
    "--load",
    "index",
    metavar="INDEX",
    help="Load INDEX on every device that the scheduler may choose, search it once, and show memory use and time.",
)
@click.option(
    "--matrix",
    is_flag=True,
    help="Print the operators that each backend runs, and the reasons for those it does not, as Markdown.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the devices as JSON.")
@click.option("--ray", is_flag=True, help="Print the devices as resources for `ray start --resources`.")
def devices(index: str | None, matrix: bool, as_json: bool, ray: bool) -> None:
    """List the devices found, and the reason for each that is missing."""
    from ninefold.host.scheduler import Scheduler

    if matrix:
        from ninefold.host.conformance import conformance_matrix

        click.echo(conformance_matrix(), nl=False)
        return
    with Scheduler() as scheduler:
        with step("looking for devices"):
            loaded = _load(scheduler, index) if index else {}
            statuses = scheduler.devices()
        if as_json:
            click.echo(json.dumps([status.record() for status in statuses], indent=2))
            return
        if ray:
            offered = [one.device for one in statuses if isinstance(one.entry, Found) and not one.entry.named_only]
            click.echo(json.dumps({"ninefold": 1} | {f"ninefold:{name}": 1 for name in sorted(offered)}))
            return
        console = Console(highlight=False)
        console.print(_found(statuses, loaded, console.width))
        missing = [status.entry for status in statuses if isinstance(status.entry, Missing)]
        if missing:
            console.print(_missing(missing, console.width))
            console.print("`ninefold doctor` explains how to get them.", style="dim")
        console.print(_power(), style="dim", markup=False)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the entries of the index that can be read to this file, as JSON lines. FILE.npy gets the vectors, and "
    "FILE.jsonl the entries. FILE.bin gets the records of context vectors.",
)
@click.option("--force", is_flag=True, help="Replace the file of --save if it exists.")
def doctor(name: str | None, save: Path | None, force: bool) -> None:
    """Explain what is missing of devices, or what is damaged of the index NAME and what can be saved of it.

    Without NAME, explain for each missing device what was searched for, what was found and what to install, and list
    the indexes in the data folder that cannot be opened. The exit code is 1 if an index is damaged.
    """
    from ninefold.host.scheduler import Scheduler

    if force and save is None:
        raise click.UsageError("--force replaces the file of --save, which is not given")
    if name is not None:
        _examine(name, save, force=force)
        return
    if save is not None:
        raise click.UsageError("--save needs the NAME of an index")
    console = Console(highlight=False)
    with step("looking for devices"), Scheduler() as scheduler:
        statuses = scheduler.devices()
    ready = [status.device for status in statuses if isinstance(status.entry, Found)]
    console.print(Text.assemble(("ready    ", "bold green"), printable(", ".join(ready) or "nothing")))
    for status in statuses:
        if isinstance(status.entry, Missing):
            console.print(
                Text.assemble(
                    ("missing  ", "bold yellow"),
                    (printable(status.device), "bold"),
                    printable(f": {status.entry.reason}", lines=True),
                )
            )
            if status.entry.install:
                console.print(Text(f"         {printable(status.entry.install, lines=True)}", style="cyan"))
    unopened = list(_unopened())
    for label, folder, problem in unopened:
        console.print(
            Text.assemble((f"{label:8} ", "bold red"), (printable(folder), "bold"), printable(f": {problem}"))
        )
    console.print(Text(_power(), style="dim"))
    if any(label == _DAMAGED for label, _, _ in unopened):
        sys.exit(1)


def _unopened() -> Iterator[tuple[str, str, str]]:
    """Yield label, name and error of each index in the data folder that cannot be opened."""
    from ninefold.host.index import Index
    from ninefold.host.index.manifest import indexes
    from ninefold.spec.errors import DamagedDataError, NinefoldError

    for folder in indexes():
        try:
            Index.open(str(folder)).close()
        except (NinefoldError, OSError) as error:
            yield _DAMAGED if isinstance(error, DamagedDataError) else "unopened", folder.name, str(error)


def _examine(name: str, save: Path | None, *, force: bool) -> None:
    """Print the diagnosis of an index; exit with 1 if it is damaged."""
    from ninefold.host.index.diagnosis import diagnose

    check_folders(save)
    if save is not None and not force:
        written = [save, save.with_suffix(".jsonl")] if save.suffix == ".npy" else [save]
        if there := next((one for one in written if one.is_file()), None):
            raise InputError(f"{there} exists; --force replaces it")
    found = diagnose(name, save)
    if not found.damaged:
        click.echo(printable(f"{found.folder}: no damage"))
    else:
        click.echo(printable(f"{found.folder} is damaged"))
        for line in found.lines():
            click.echo(printable(f"  {line}"))
    if save is not None:
        beside = f" and {save.with_suffix('.jsonl').name}" if save.suffix == ".npy" else ""
        click.echo(printable(f"{save}{beside}: {counted(found.saved, 'entry', 'entries')} written"))
    if found.damaged:
        sys.exit(1)


def _load(scheduler: Scheduler, name: str) -> dict[str, str]:
    """Load an index on each device that may be chosen and runs ``mine``; return the outcome for each."""
    from ninefold.host.index import Index
    from ninefold.spec.errors import NinefoldError

    index = Index.open(name)
    said = {}
    for status in scheduler.devices():
        if not isinstance(status.entry, Found) or status.entry.named_only or status.operators.get("mine"):
            continue
        try:
            with step(f"loading {name} on {status.device}"):
                result = index.search(0, 1, device=status.device, strict=True, scheduler=scheduler)
        except NinefoldError as error:
            said[status.device] = str(error)
        else:
            said[status.device] = f"one search took {duration(result.result.metrics['seconds'])}"
    return said


def _found(statuses: list[DeviceStatus], loaded: dict[str, str], width: int) -> Table:
    rows = []
    for status in statuses:
        if not isinstance(status.entry, Found):
            continue
        state = status.state + (", only by name" if status.entry.named_only else "")
        for key, size in (status.residents or {}).items():
            state += f"\nholds {key[:12]}, {size:,} bytes"
        if status.capacity_bytes is not None:
            used = sum((status.residents or {}).values())
            state += f"\n{used / max(status.capacity_bytes, 1):.1%} of {status.capacity_bytes:,} bytes"
        if status.device in loaded:
            state += f"\n{loaded[status.device]}"
        rows.append((status.device, status.entry.kind, status.entry.description, state))
    return _table(("device", "class", "description", "state"), rows, width)


def _missing(entries: list[Missing], width: int) -> Table:
    return _table(("missing", "reason"), [(entry.device, entry.reason) for entry in entries], width)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int) -> Table:
    """Return a table, whose last column or two wrap; in a narrow terminal, the texts of a device are below its name."""
    cells = [[printable(cell, lines=True) for cell in row] for row in rows]
    whole = max(1, len(headings) - 2)
    taken = sum(max((cell_len(row[number]) for row in cells), default=0) + 2 for number in range(whole))
    narrow = width - taken < _TEXT_CELLS * (len(headings) - whole)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=not narrow)
    if narrow:
        table.add_column(overflow="fold")
        for name, *texts in cells:
            table.add_row(Text(name, style="bold"))
            said = "; ".join(text.replace("\n", "; ") for text in texts)
            table.add_row(Padding(Text(said), (0, 0, 0, 2)))
        return table
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=number < whole)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _power() -> str:
    from ninefold.host.scheduler import sensors

    found, reasons = sensors()
    names = ", ".join(sensor.name for sensor in found) or "not measured"
    return printable(f"power: {names}" + (f" ({'; '.join(reasons)})" if reasons else ""))
