"""Error classes with a common base, and the exit code of the command line for each."""

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from .text import tail

__all__ = [
    "DamagedDataError",
    "DeadlineError",
    "DeviceError",
    "FullDiskError",
    "InputError",
    "InterruptError",
    "LostDeviceError",
    "NinefoldError",
    "ToolError",
    "UnavailableError",
    "UnsupportedError",
    "UnwritableError",
    "did_you_mean",
    "installs",
    "not_installed",
    "tool_failure",
]


class NinefoldError(Exception):
    """Base class of all errors that Ninefold raises on purpose; the message says what to do.

    Attributes
    ----------
    exit_code : int
        Exit code of the command line.
    """

    exit_code: ClassVar[int] = 1


class InputError(NinefoldError, ValueError):
    """Invalid input; the message names the value and the allowed set."""

    exit_code = 2


class DamagedDataError(NinefoldError):
    """Stored data that is damaged, truncated or not Ninefold's; the message names the file."""

    exit_code = 2


class UnsupportedError(NinefoldError):
    """An operator, or a size of call, that a backend does not run; the message gives the reason with both numbers."""

    exit_code = 2


class UnavailableError(NinefoldError):
    """A tool, model or device that is missing.

    Parameters
    ----------
    what : str
        The missing thing, and how its absence was detected.
    install : str
        The command or step that provides it.
    """

    exit_code = 2

    def __init__(self, what: str, install: str = "") -> None:
        super().__init__(f"{what}; {install}" if install else what)
        self.what = what
        self.install = install


class UnwritableError(UnavailableError):
    """Folder of caches that cannot be written; the message names it and the setting that moves it."""

    exit_code = 3


class InterruptError(KeyboardInterrupt):
    """Interrupt (Ctrl-C) that ended a child program, as opposed to a failure of the program.

    Like any ``KeyboardInterrupt``, it ends a command with exit code 130.
    """


class DeviceError(NinefoldError):
    """Failure of a device during a call: an exception, a hang, a lost device or a wrong answer."""

    exit_code = 3


class LostDeviceError(DeviceError):
    """Loss of a device: its link is dead, or a device with another identity answers."""


class DeadlineError(NinefoldError):
    """Deadline of a task that passed before the answer."""

    exit_code = 3


class ToolError(NinefoldError):
    """Failure of an external tool; the message contains the command and the end of its output."""

    exit_code = 3


class FullDiskError(ToolError):
    """Full disk found by an external tool; the message names the folder or the tool."""

    exit_code = 2


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return the end of an error message that suggests the known name most similar to `value`, or an empty string."""
    names = list(known)
    inside = [name for name in names if value and value.lower() in name.lower()]
    like = inside[:1] or difflib.get_close_matches(value, names, 1)
    return f"; did you mean {like[0]!r}?" if like else ""


def installs(*extras: str) -> str:
    """Return the command that installs Ninefold with extras, as every message quotes it."""
    return f'pip install "ninefold[{",".join(extras)}]"'


def not_installed(what: str, install: str) -> UnavailableError:
    """Return the error to raise for a package that is missing; `install` is the command that installs it."""
    return UnavailableError(f"{what} is not installed", install)


def tool_failure(message: str, said: str, where: str | Path) -> ToolError:
    """Return the error for a failed tool.

    Parameters
    ----------
    message : str
        The command and its exit status.
    said : str
        Output of the tool; the error includes its end.
    where : str or Path
        The folder the tool writes to, or the tool if the folder is unknown; named if the disk is full.
    """
    full = os.strerror(errno.ENOSPC)
    if full in said:
        return FullDiskError(f"{where}: {full}")
    end = tail(said)
    return ToolError(f"{message}:\n{end}" if end else message)
