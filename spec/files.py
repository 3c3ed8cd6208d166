"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

__all__ = ["check_folders", "written_aside"]


def check_folders(*paths: Path | None) -> None:
    """Refuse to write files in folders that are not there, before anything is done; None stands for no file.

    Raises
    ------
    InputError
        There is no such folder; the message names it and the file.
    """
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"there is no folder {path.absolute().parent} to write {path.name} in")


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a new file to fill, which takes the place of `path` when the block ends without an error.

    What was at `path` stays until then. Whatever goes wrong, the new file is removed. What is no file, such as
    ``/dev/stdout``, cannot be replaced, and is given itself.

    Parameters
    ----------
    path : Path
        Where the file appears, in a folder that exists; a link stays, and what it leads to is replaced.

    Raises
    ------
    OSError
        When it cannot be written; its ``filename`` is `path`, which a failing write does not name itself.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield path
        return
    aside = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    try:
        # Made here, so that it has the rights of any new file, which one of `tempfile` has not.
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield aside
        aside.replace(target)
    except OSError as error:
        if error.filename not in (None, str(aside)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
