"""Make a folder appear whole or not at all."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["new_folder"]

_PARTIAL = ".partial"


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes the name `target` when the block ends without an error.

    What was at `target` stays until then, and comes back should the exchange itself fail. Whatever goes wrong, the new
    folder is removed; one that a killed process left behind is removed by the next one.

    Parameters
    ----------
    target : Path
        Where the folder appears; a folder that is there is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}."
    for leftover in target.parent.glob(f"{prefix}*{_PARTIAL}"):
        _remove_unless_in_use(leftover)
    work = Path(tempfile.mkdtemp(prefix=prefix, suffix=_PARTIAL, dir=target.parent))
    handle = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield work
        for path in work.iterdir():
            _sync(path)
        work.chmod(0o755)
        _exchange(work, target)
        _sync(target.parent)
    except OSError as error:
        # What writes to an open file does not say where.
        error.filename = error.filename or str(target)
        raise
    finally:
        os.close(handle)
        shutil.rmtree(work, ignore_errors=True)


def _exchange(work: Path, target: Path) -> None:
    if not target.exists():
        work.rename(target)
        return
    # Not named as a leftover: a process killed between the two renames must not lose the old folder.
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".replaced", dir=target.parent))
    target.rename(old)
    try:
        work.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_unless_in_use(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
