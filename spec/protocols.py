"""Protocols between layers: backends and devices, byte transports, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from .data import Answer, Database, State
from .signature import Call

__all__ = ["HOST", "KINDS", "TIMEOUT_S", "Backend", "Command", "Device", "Found", "Missing", "StateKeeper", "Transport"]

#: Classes of devices.
KINDS: Final = ("cpu", "fpga", "gpu", "neuromorphic", "npu", "simulation")
#: `Found.unit` of every device that computes on the host's processor.
HOST: Final = "host"
#: Default time after which a call counts as hung, in seconds.
TIMEOUT_S: Final = 4.0


@dataclass(frozen=True)
class Found:
    """Device found by a probe.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    description : str
        Description for users: processor, board, versions.
    ratings : mapping of str to int
        Operator -> expected suitability from 1 to 10, if the backend knows.
    named_only : bool
        Never chosen automatically, only used by name (verification devices).
    kind : str
        Class of device, one of `KINDS`.
    unit : str
        Hardware that does the work. Devices of one unit compete for it, so a batch is never split over them. Empty for
        the device itself; `HOST` for the host's processor.
    timeout_s : float or None
        Time after which a call counts as hung, in seconds; None for no limit.
    computes : bool
        False if the answers are zeros of the right shape, for measuring overhead.
    operators : mapping of str to str or None, optional
        Operators, where they differ from its backend's: for each, None or the reason that this device does not run it.
    """

    device: str
    description: str
    ratings: Mapping[str, int]
    named_only: bool = False
    kind: str = "cpu"
    unit: str = ""
    timeout_s: float | None = TIMEOUT_S
    computes: bool = True
    operators: Mapping[str, str | None] | None = None


@dataclass(frozen=True)
class Missing:
    """Device that a probe did not find.

    Attributes
    ----------
    device : str
        ``backend[:instance]``.
    reason : str
        The search and its result, for users.
    install : str
        Step that would provide it.
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
        """Memory for residents in bytes, or None if only the host's memory limits it."""
        ...

    def load(self, resident: Database | State) -> None:
        """Load a resident onto the device, a state in place of another version; do nothing if it is loaded already.

        Only the scheduler loads. `residents.LoadedResidents` does what a device needs for it.
        """
        ...

    def unload(self, key: str) -> None:
        """Drop the database with this digest, or the state with this id; do nothing if it is not loaded."""
        ...

    def run(self, call: Call) -> Answer:
        """Run one call to completion. Its residents are loaded.

        A step takes the version that the device holds, and replaces it by the next. It returns the next version with
        arrays that the device does not change later, or if the device keeps it, `Kept`. After a step of the latter kind
        the state of the next call has no arrays.

        Raises
        ------
        UnsupportedError
            The backend does not run the operator (with the written reason), or the device not at this size (with both
            numbers). This is checked before anything runs.
        InputError
            The arguments do not fit the content of a state that only the device has. This is checked before anything
            runs.
        DeviceError
            A resident is not loaded (the message names it), or the device failed.
        LostDeviceError
            The device is gone, or another device answers.
        """
        ...

    def close(self) -> None:
        """Free the device and everything on it."""
        ...


@runtime_checkable
class StateKeeper(Protocol):
    """Device whose steps may leave the next state on it and answer with `Kept`."""

    def fetch(self, key: str) -> State:
        """Return a copy of the version that the device holds of the state with this id.

        Raises
        ------
        DeviceError
            The device does not hold the state, or failed.
        """
        ...


@runtime_checkable
class Backend(Protocol):
    """Way to run operators on one kind of device. Constructed without arguments, at little cost.

    A backend whose devices have other names too, such as parts of a name, may provide ``resolve(instance)``. It returns
    the name that `probe` gives, or a `Found` for a device that `probe` does not list, and raises as `open` does.
    """

    name: str

    def probe(self) -> Sequence[Found | Missing]:
        """Look for devices within a few seconds; never raise."""
        ...

    def operators(self) -> Mapping[str, str | None]:
        """Return, for every operator, None if this backend runs it, or the written reason why not."""
        ...

    def open(self, instance: str = "") -> Device:
        """Open a device by its instance name; an empty name opens the first one.

        Raises
        ------
        UnavailableError
            The device is missing; the message gives the reason and the step that would provide it.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """Byte stream to a board: serial port, TCP, virtual board or replayed recording."""

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return 1 to `size` bytes, or none after `timeout_s` seconds."""
        ...

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`."""
        ...

    def close(self) -> None:
        """Close the stream."""
        ...


@runtime_checkable
class Command(Protocol):
    """Command of ``ninefold``, such as a ``click.Command``."""

    name: str | None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:
        """Run with the words of a command line."""
        ...
