"""The error hierarchy: one base class, and for each class the exit code of the command line."""

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
    "tool_failure",
]


class NinefoldError(Exception):
    """Base of every error that Ninefold raises on purpose; the message says what to do.

    Attributes
    ----------
    exit_code : int
        What the command line exits with.
    """

    exit_code: ClassVar[int] = 1


class InputError(NinefoldError, ValueError):
    """A value outside what is allowed; the message names the value and the allowed set."""

    exit_code = 2


class DamagedDataError(NinefoldError):
    """Stored data is damaged, truncated, or not Ninefold's; the message names the file."""

    exit_code = 2


class UnsupportedError(NinefoldError):
    """A backend does not run this operator, or not at this size; the message is the reason, with the numbers."""

    exit_code = 2


class UnavailableError(NinefoldError):
    """A tool, model or device is not there.

    Parameters
    ----------
    what : str
        What is missing and how that was seen.
    install : str
        The command or step that provides it.
    """

    exit_code = 2

    def __init__(self, what: str, install: str = "") -> None:
        super().__init__(f"{what}; {install}" if install else what)
        self.what = what
        self.install = install


class UnwritableError(UnavailableError):
    """A folder in which Ninefold keeps what it builds cannot be written; the message names it and how to move it."""

    exit_code = 3


class InterruptError(KeyboardInterrupt):
    """A program that was run ended by an interrupt (Ctrl-C), which is the user's and no failure of the program.

    Like any ``KeyboardInterrupt`` it ends a command with exit code 130.
    """


class DeviceError(NinefoldError):
    """A device failed while it ran: it raised, hung, vanished or answered wrongly."""

    exit_code = 3


class LostDeviceError(DeviceError):
    """A device is gone: its link is lost, or what answers there has another identity."""


class DeadlineError(NinefoldError):
    """A task's deadline passed before it was answered."""

    exit_code = 3


class ToolError(NinefoldError):
    """An external tool failed; the message carries the command and the end of its output."""

    exit_code = 3


class FullDiskError(ToolError):
    """An external tool found no room to write; the message names the folder or the tool."""

    exit_code = 2


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return what an error may end with: which of the known names is like the one that was given, if one is."""
    names = list(known)
    inside = [name for name in names if value and value.lower() in name.lower()]
    like = inside[:1] or difflib.get_close_matches(value, names, 1)
    return f"; did you mean {like[0]!r}?" if like else ""


def tool_failure(message: str, said: str, where: str | Path) -> ToolError:
    """Return the error to raise for a tool that failed.

    Parameters
    ----------
    message : str
        The command, and how it ended.
    said : str
        What it wrote; the error carries the end.
    where : str or Path
        The folder in which it writes, or the tool where that is not known; a full disk is not the tool's fault.
    """
    full = os.strerror(errno.ENOSPC)
    if full in said:
        return FullDiskError(f"{where}: {full}")
    end = tail(said)
    return ToolError(f"{message}:\n{end}" if end else message)
