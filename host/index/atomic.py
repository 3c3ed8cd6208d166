"""Atomic replacement of a folder: its name leads to the old folder or the new one, complete, even after a crash.

The new folder is filled and synced under a hidden name, ``.NAME.TOKEN.partial``. Linux then exchanges both names in one
system call. If the kernel or the file system lacks that call, the old folder is renamed to ``.NAME.TOKEN.replaced`` and
the new one takes its name. A crash between these two renames leaves no folder of that name, and both folders under the
same token. The new one is complete then, and `recover` gives it the name.

A lock on the parent folder serialises the renames of several processes. It is held for the renames only.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from ninefold.spec.files import sync

__all__ = ["held", "new_folder", "recover"]

_PARTIAL: Final = ".partial"
_REPLACED: Final = ".replaced"
#: Constants of ``linux/fs.h`` and ``fcntl.h``.
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100
#: Errors of a kernel, C library, file system or sandbox that cannot exchange names.
_NO_EXCHANGE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


@contextlib.contextmanager
def new_folder(target: Path, check: Callable[[], None] | None = None) -> Iterator[Path]:
    """Yield a folder to fill, which takes the name `target` when the block ends without an error.

    The old folder keeps the name until then. After an error the new folder is removed. The remains of a killed process
    are removed by the next call for the same name. A symbolic link at `target` stays, and its folder is replaced.

    Parameters
    ----------
    target : Path
        Name of the folder. An existing folder is replaced.
    check : callable, optional
        Function that raises an error if `target` must not be replaced. Called just before the replacement, while no
        other process can replace `target`.
    """
    place = _resolved(target)
    parent = place.parent
    try:
        _make(parent)
        with _locked(parent):
            _finish(place)
            dead = _leftovers(place)
            work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=_PARTIAL, dir=parent))
            handle = _locked_folder(work)
        for folder, lock in dead:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        # Folder to remove at the end: the new one until it has its name, then the old one once the rename is synced.
        rest: Path | None = work
        try:
            yield work
            work.chmod(0o755)
            for path in (*work.iterdir(), work):
                sync(path)
            with _locked(parent):
                if check is not None:
                    check()
                displaced, rest = _publish(work, place), None
                sync(parent)
            rest = displaced
        finally:
            os.close(handle)
            # If the old folder could not be given its name back, the new one is kept for `recover`.
            if rest is not None and (rest != work or not work.with_suffix(_REPLACED).exists()):
                shutil.rmtree(rest, ignore_errors=True)
    except OSError as error:
        # Errors of writes to an open file name no file, and hidden names mean nothing to the user.
        if not error.filename or str(error.filename).startswith(f"{parent}/.{place.name}."):
            error.filename, error.filename2 = str(target), None
        raise


def recover(target: Path) -> None:
    """Finish a replacement of `target` that was killed between its two renames; otherwise change nothing."""
    place = _resolved(target)
    if not os.path.lexists(place) and place.parent.is_dir():
        with _locked(place.parent):
            _finish(place)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether another folder has taken the name of `folder` since."""
    try:
        # While the handle is open, no other folder gets this inode number.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield folder.is_dir
        return

    def replaced() -> bool:
        try:
            return not os.path.samestat(folder.stat(), os.fstat(handle))
        except FileNotFoundError:
            # Either between the two renames of a replacement, or removed; the next attempt shows.
            return True

    try:
        yield replaced
    finally:
        os.close(handle)


def _finish(place: Path) -> None:
    """Finish an interrupted replacement, as in `recover`; the caller holds the lock."""
    for old in _hidden(place, _REPLACED):
        new = old.with_suffix(_PARTIAL)
        if new.is_dir() and not os.path.lexists(place):
            new.rename(place)
            sync(place.parent)


def _publish(work: Path, place: Path) -> Path | None:
    """Give `work` the name `place`, and return the new path of the folder that had it."""
    if not os.path.lexists(place):
        work.rename(place)
        return None
    if _exchange(work, place):
        return work
    old = work.with_suffix(_REPLACED)
    # The new folder must be on the disk before the old one loses its name.
    sync(place.parent)
    place.rename(old)
    try:
        work.rename(place)
    except BaseException:
        with contextlib.suppress(OSError):
            old.rename(place)
        raise
    return old


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names; return False if that cannot be done in one step."""
    function = _renameat2()
    if function is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    if function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


@cache
def _renameat2() -> Any:
    """Return the system call of that name, or None if the C library lacks it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function


def _leftovers(place: Path) -> list[tuple[Path, int]]:
    """Return the unused hidden folders of `place`, each locked; the caller holds the lock of the parent."""
    found = _hidden(place, _PARTIAL)
    if os.path.lexists(place):
        # If `place` is missing, they may be the only copy.
        found += _hidden(place, _REPLACED)
    dead = []
    for folder in found:
        with contextlib.suppress(OSError):  # removed meanwhile, or in use
            dead.append((folder, _locked_folder(folder, fcntl.LOCK_NB)))
    return dead


def _hidden(place: Path, suffix: str) -> list[Path]:
    """Return the hidden folders that belong to `place`, excluding names that merely start alike."""
    form = re.compile(rf"\.{re.escape(place.name)}\.[a-z0-9_]+{re.escape(suffix)}")
    return sorted(path for path in place.parent.iterdir() if form.fullmatch(path.name))


def _resolved(target: Path) -> Path:
    return Path(os.path.realpath(target))


def _make(folder: Path) -> None:
    """Make a folder and its parents, and sync them so that they survive a crash."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = _locked_folder(folder)
    try:
        yield
    finally:
        os.close(handle)


def _locked_folder(folder: Path, options: int = 0) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | options)
    except BaseException:
        os.close(handle)
        raise
    return handle
