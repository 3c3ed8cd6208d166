"""``ninefold cache``: print or clear the cache folder."""

import contextlib
import re
import secrets
import shutil
import sys
from pathlib import Path

import click

from ninefold.spec.cache import cache_folder
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

__all__ = ["cache"]

#: Names of cache entries: a SHA-256, with a dot before it and a suffix after it for unfinished work. Other files in a
#: folder that was named as the cache, such as a home folder, are never mistaken for entries.
_OWN = re.compile(r"\.?[0-9a-f]{64}(?![0-9a-f])")


@click.group()
def cache() -> None:
    """Print or clear the cache of kernels, simulators, the compiled model and embeddings."""


@cache.command()
def path() -> None:
    """Print the cache folder."""
    click.echo(printable(cache_folder()) if sys.stdout.isatty() else str(cache_folder()))


@cache.command()
def clear() -> None:
    """Remove Ninefold's entries from the cache folder and list them. Indexes are kept elsewhere."""
    folder = cache_folder()
    total, left = 0, []
    for kind in sorted(folder.iterdir()) if folder.is_dir() else ():
        if kind.is_symlink() or not kind.is_dir():
            left.append(kind)
            continue
        entries = sorted(kind.iterdir())
        own = [entry for entry in entries if _OWN.match(entry.name)]
        size = sum(map(_size, own))
        for entry in own:
            _remove(entry)
        if own:
            shown = sum(not entry.name.startswith(".") for entry in own)
            click.echo(f"{printable(kind.name)}: removed {counted(shown, 'entry', 'entries')}, {_megabytes(size)}")
        total += size
        if len(own) == len(entries) and own:
            kind.rmdir()
        elif len(own) < len(entries):
            left.append(kind)
    said = f"{_megabytes(total)} removed" if total else "nothing to remove"
    click.echo(f"{printable(folder)}: {said}")
    for path in left:
        click.echo(f"kept, since it holds files that are not Ninefold's: {printable(path)}")


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        # Its name goes first, so that other processes find a whole entry or none.
        aside = entry.with_name(f".{entry.name.lstrip('.')[:64]}-{secrets.token_hex(4)}")
        entry.rename(aside)
        with contextlib.suppress(FileNotFoundError):  # a process that builds the entry again removes it too
            shutil.rmtree(aside)
    else:
        entry.unlink()


def _size(entry: Path) -> int:
    if entry.is_dir() and not entry.is_symlink():
        return sum(_size(inner) for inner in entry.iterdir())
    return entry.lstat().st_size


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
