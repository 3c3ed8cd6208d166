"""The error hierarchy: one base class, and for each class the exit code of the command line."""

from typing import ClassVar

__all__ = [
    "DamagedDataError",
    "DeadlineError",
    "DeviceError",
    "InputError",
    "LostDeviceError",
    "NinefoldError",
    "ToolError",
    "UnavailableError",
    "UnsupportedError",
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
