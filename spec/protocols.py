"""The seams: backends and devices, byte transports, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from .data import Answer, Database, State
from .signature import Call

__all__ = ["HOST", "KINDS", "TIMEOUT_S", "Backend", "Command", "Device", "Found", "Missing", "Transport"]

#: Classes of devices.
KINDS: Final = ("cpu", "fpga", "gpu", "neuromorphic", "npu", "simulation")
#: The unit of every device that computes on the host's processor.
HOST: Final = "host"
#: How long a call may take where a device does not say otherwise, in seconds.
TIMEOUT_S: Final = 4.0


@dataclass(frozen=True)
class Found:
    """A device that is there.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    description : str
        What it is, in words: processor, board, versions.
    ratings : mapping of str to int
        Operator -> 1 to 10, how good the device is at it, where the backend knows.
    named_only : bool
        Never chosen, only taken when asked for by name (verification devices).
    kind : str
        Class of device, one of `KINDS`.
    unit : str
        The hardware that does the work. Devices of one unit compete for it, so a batch is never split over them; the
        device itself where empty. `HOST` is the host's processor.
    timeout_s : float or None
        How long a call may take before the device counts as hung; None where it is never given up.
    computes : bool
        False where the answers are zeros of the right shape, good to measure overhead with and for nothing else.
    """

    device: str
    description: str
    ratings: Mapping[str, int]
    named_only: bool = False
    kind: str = "cpu"
    unit: str = ""
    timeout_s: float | None = TIMEOUT_S
    computes: bool = True


@dataclass(frozen=True)
class Missing:
    """A device that is not there.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    reason : str
        What was looked for and what was seen.
    install : str
        The step that would provide it.
    """

    device: str
    reason: str
    install: str = ""


@runtime_checkable
class Device(Protocol):
    """One opened instance of a backend. Calls come from one thread at a time."""

    name: str

    @property
    def capacity_bytes(self) -> int | None:
        """Memory for residents, or None where only the host's memory bounds it."""
        ...

    def load(self, resident: Database | State) -> None:
        """Bring a resident onto the device; nothing happens when it is already there."""
        ...

    def unload(self, key: str) -> None:
        """Drop the database of that digest, or the state of that id; nothing happens when it is not there."""
        ...

    def run(self, call: Call) -> Answer:
        """Run one call to its end. A resident that is not on the device yet is loaded first.

        Raises
        ------
        UnsupportedError
            When the backend does not run the operator, with the written reason, or the device not at this size, with
            the numbers; this is checked before anything runs.
        DeviceError
            When the device failed.
        LostDeviceError
            When it is gone, or is another one than before.
        """
        ...

    def close(self) -> None:
        """Free the device and everything on it."""
        ...


@runtime_checkable
class Backend(Protocol):
    """One way to run operators on one kind of device; made without arguments, and cheap to make.

    A backend that knows its devices by other names too, a part of a name perhaps, may offer ``resolve(instance)``: it
    returns the name that `probe` gives, or a `Found` for a device that `probe` does not list and only `open` can tell
    of, and raises as `open` does.
    """

    name: str

    def probe(self) -> Sequence[Found | Missing]:
        """Look for devices. Never raises, and returns within a few seconds."""
        ...

    def operators(self) -> Mapping[str, str | None]:
        """Every operator of the contract -> None when this backend runs it, else the written reason why not."""
        ...

    def open(self, instance: str = "") -> Device:
        """Open a device by its instance name; the first one for an empty name.

        Raises
        ------
        UnavailableError
            When it is not there, with the reason and the step that would provide it.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """A byte stream to a board: serial port, TCP, virtual board or a replayed recording."""

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return 1 to `size` bytes, or none when the time is up."""
        ...

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`."""
        ...

    def close(self) -> None:
        """Close the stream."""
        ...


@runtime_checkable
class Command(Protocol):
    """A command of ``ninefold``; a ``click.Command`` is one."""

    name: str | None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:
        """Run with command-line words."""
        ...
