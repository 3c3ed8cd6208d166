"""Lock of the one writer of an index, which names its holder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import sys
import time
import weakref
from pathlib import Path
from typing import Final

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable
from ninefold.spec.text import shortened

__all__ = ["NAME", "WriterLock", "serves_at"]

#: File of the lock, in the folder of the index.
NAME: Final = "writer.lock"
#: Interval between attempts to take the lock.
_AGAIN_S: Final = 0.02

#: Characters of a command line that are kept.
_COMMAND: Final = 80

#: URL at which this process serves its indexes, if it does.
_url = ""

_all: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def serves_at(url: str) -> None:
    """Have the locks of this process, held ones too, name it as the server at a URL."""
    global _url  # noqa: PLW0603 - a process is one server
    _url = url
    for lock in list(_all):
        lock.sign()


class WriterLock:
    """Lock on a file, by ``flock``; the kernel releases it when the process ends.

    Parameters
    ----------
    folder : Path
        Folder of the index.
    wait_s : float
        Time to wait for another writer, which releases the lock after it has been idle for a second.

    Attributes
    ----------
    held : bool
        True if this object holds the lock.
    """

    def __init__(self, folder: Path, wait_s: float = 5.0) -> None:
        self.path = folder / NAME
        self._wait_s = wait_s
        self._file = -1
        _all.add(self)

    @property
    def held(self) -> bool:
        """True if this object holds the lock."""
        return self._file >= 0

    def take(self) -> None:
        """Take the lock; `InputError` names the holder if it is not released in time."""
        if self.held:
            return
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError as error:
            needed = "writing an index needs permission to write its folder and files"
            raise PermissionError(error.errno, f"{error.strerror}; {needed}", str(self.path)) from error
        until = time.monotonic() + self._wait_s
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise InputError(
                            f"{self.path.parent} is being written by {_holder(file)}; one writer at a time"
                        ) from None
                    time.sleep(_AGAIN_S)
            _sign(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def sign(self) -> None:
        """Write who holds the lock, if this object does."""
        if self.held:
            _sign(self._file)

    def release(self) -> None:
        """Release the lock."""
        if self.held:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            self.forget()

    def forget(self) -> None:
        """Close this process's copy of the file: in the child of a fork, the parent keeps the lock."""
        if self.held:
            os.close(self._file)
            self._file = -1


def _sign(file: int) -> None:
    holder = {"pid": os.getpid(), "command": _command(), "since": int(time.time())}
    holder |= {"server": _url} if _url else {}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode(), 0)


def _command() -> str:
    """Return the command line of this process, without the folders of programs and shortened."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if sys.argv[0] in ("", "-c"):
        # The code is in the original arguments only; without any, Python is used at a prompt.
        words = ["python", *sys.orig_argv[1:]]
    elif Path(sys.argv[0]).name == "__main__.py":
        words = ["python", "-m", Path(sys.argv[0]).parent.name, *sys.argv[1:]]
    return shortened(shlex.join(words), _COMMAND)


def _holder(file: int) -> str:
    """Return the holder in words."""
    try:
        known = json.loads(os.pread(file, 4096, 0))
        since = time.strftime("%H:%M:%S", time.localtime(known["since"]))
        server = printable(str(known.get("server", "")))
        asks = f"; it serves at {server}: write by a Client of that URL, and search with --server {server}"
        return f"process {known['pid']} ({printable(known['command'])}), since {since}{asks if server else ''}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _forget_all() -> None:
    for lock in list(_all):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
