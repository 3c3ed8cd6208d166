"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

__all__ = ["check_folders", "sync", "written_aside"]


def check_folders(*paths: Path | None) -> None:
    """Check that the folders of files to write exist, before any work starts; None stands for no file.

    Raises
    ------
    InputError
        A folder does not exist; the message names it and the file.
    """
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"there is no folder {path.absolute().parent} to write {path.name} in")


@contextlib.contextmanager
def written_aside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a new file that replaces `path` when the block ends without an error.

    `path` keeps its content until then. After an error the new file is removed. Devices such as ``/dev/stdout`` cannot
    be replaced; for them, `path` itself is yielded.

    Parameters
    ----------
    path : Path
        Name of the file, in a folder that exists. A link is kept and its target is replaced.
    durable : bool
        Sync the file before it takes the name and its folder afterwards, so that a crash of the machine leaves the old
        content or the new one.

    Raises
    ------
    OSError
        The file cannot be written. ``filename`` is set to `path`, which a failing write does not name.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield path
        return
    aside = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    try:
        # Files of `tempfile` lack the permissions of an ordinary new file.
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield aside
        if durable:
            sync(aside)
        aside.replace(target)
        if durable:
            sync(target.parent)
    except OSError as error:
        if error.filename not in (None, str(aside)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def sync(path: Path) -> None:
    """Write a file or the names in a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
