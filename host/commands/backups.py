"""``ninefold index backup``, ``backups`` and ``restore``: copies of indexes elsewhere, checked before they are used."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

from .shown import duration

__all__ = ["backup", "backups", "restore"]

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("name")
@click.argument("folder", type=_FOLDER)
@click.option("--keep", type=click.IntRange(min=1), help="Keep the newest KEEP backups [default: all].")
def backup(name: str, folder: Path, keep: int | None) -> None:
    """Back up the index NAME to FOLDER.

    Others may search and write the index meanwhile; the backup is of one commit. Segments that an earlier backup in
    FOLDER has are not copied again. A backup that is interrupted leaves nothing that could be restored.
    """
    start = time.perf_counter()
    with step(f"backing up {name}"):
        from ninefold.host.index.backup import backup as back_up

        made = back_up(name, folder, keep=keep)
    said = f"{folder}: backup {made.number}, {counted(made.rows, 'entry', 'entries')}, {made.bytes / 1e6:.1f} MB"
    click.echo(printable(f"{said}, {made.new_bytes / 1e6:.1f} MB of them new, after {_since(start)}"))


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def backups(folder: Path, as_json: bool) -> None:
    """List the backups in FOLDER."""
    from ninefold.host.index.backup import Backup
    from ninefold.host.index.backup import backups as listed

    found = listed(folder)
    if as_json:
        names = ("number", "index", "taken", "rows", "bytes", "new_bytes")
        records = [
            {name: getattr(one, name) for name in names}
            if isinstance(one, Backup)
            else {"number": number, "error": str(one)}
            for number, one in found.items()
        ]
        click.echo(to_json(records))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("backup", "taken", "entries", "MB", "new MB", "index"):
        table.add_column(heading, justify="left" if heading in ("taken", "index") else "right")
    for number, one in found.items():
        if isinstance(one, Backup):
            sizes = (f"{one.rows:,}", f"{one.bytes / 1e6:.1f}", f"{one.new_bytes / 1e6:.1f}")
            table.add_row(str(number), one.when, *sizes, Text(printable(one.index)))
        else:
            table.add_row(str(number), "", "", "", "", Text(printable(one)))
    Console().print(table)


@click.command()
@click.argument("name")
@click.argument("folder", type=_FOLDER)
@click.option("--backup", "number", type=click.IntRange(min=1), help="Restore this backup [default: the newest].")
@click.option("--force", is_flag=True, help="Replace an existing index of that name once the backup has been checked.")
def restore(name: str, folder: Path, number: int | None, force: bool) -> None:
    """Restore the index NAME from the newest backup in FOLDER.

    All files are compared with their digests, and up to 64 searches recorded with the backup are repeated, before the
    index appears under its name. A backup that fails is refused, and the error names the newest one before it that is
    undamaged.
    """
    start = time.perf_counter()
    with step(f"restoring {name}"):
        from ninefold.host.index import locate
        from ninefold.host.index.backup import restore as restored

        made = restored(name, folder, number=number, force=force)
    asked = counted(len(made.questions.answers), "recorded search gives", "recorded searches give")
    said = f"{locate(name)}: {counted(made.rows, 'entry', 'entries')} of backup {made.number} ({made.when})"
    click.echo(printable(f"{said}; {asked} the same answers; {_since(start)}"))


def _since(start: float) -> str:
    return duration(time.perf_counter() - start)
