"""Residents of a device: databases and states, evicted least recently used first."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ninefold.spec.data import Database, Kept, State
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.protocols import Device, StateKeeper
from ninefold.spec.signature import Call, Layout, Operator, Resident

__all__ = [
    "COPY",
    "LoggedState",
    "ResidentTable",
    "at_version",
    "detached",
    "fetch",
    "kept_after",
    "key_of",
    "residents_of",
    "with_state",
]

#: Operator of the scheduler's own tasks that copy a state from its device to the host. No module can have this name.
COPY: Final = Operator(
    "copy state", "Copy a state to the host.", (Resident("state", "state", Layout("state", ())),), results=()
)


@dataclass(frozen=True, eq=False)
class LoggedState(State):
    """Committed version of a state that only a device holds; the host can rebuild it.

    It has no arrays and attributes, so that no backend computes from an earlier version.

    Attributes
    ----------
    copy : State
        Last version of which the host has a copy.
    log : tuple of Call
        Steps since, which lead to this version.
    """

    copy: State = field(kw_only=True)
    log: tuple[Call, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        # Sizes do not change from version to version, so the checks of the copy hold here too.
        object.__setattr__(self, "checked", self.copy.checked)

    @property
    def nbytes(self) -> int:
        """Size of all arrays in bytes."""
        return self.copy.nbytes

    @property
    def versions(self) -> str:
        """Versions of which the host has no copy, in words."""
        first = self.copy.version + 1
        if first == self.version:
            return f"version {first} of {self.id} is"
        return f"versions {first} to {self.version} of {self.id} are"


def kept_after(state: State, step: Call) -> LoggedState:
    """Return the version after a step that its device keeps."""
    base, log = (state.copy, state.log) if isinstance(state, LoggedState) else (state, ())
    return LoggedState(state.id, state.version + 1, {}, {}, copy=base, log=(*log, step))


def with_state(call: Call, state: State) -> Call:
    """Return a call with another version of its state."""
    return Call(call.operator, {**call.arguments, call.operator.state_name: state}, call.options, call.sizes)


def at_version(call: Call, state: State) -> Call:
    """Return a step, a read or a copy with a version of its state, which other operators may have made.

    Raises
    ------
    InputError
        The operator does not accept the version.
    """
    operator = call.operator
    if operator is COPY:
        return with_state(call, state)
    resident = next(a for a in operator.arguments if isinstance(a, Resident) and a.name == operator.state_name)
    content = state.copy if isinstance(state, LoggedState) else state
    resident.check(content, dict(call.sizes))
    if content is not state:
        return with_state(call, state)
    return operator.settled({**call.arguments, operator.state_name: state}, call.options, call.sizes)


def detached(call: Call) -> Call:
    """Return a step for the log: without its state, and with arrays that the caller cannot change."""
    arguments = {
        name: value if isinstance(value, Database) else copy.deepcopy(value)
        for name, value in call.arguments.items()
        if name != call.operator.state_name
    }
    return Call(call.operator, arguments, call.options, call.sizes)


def residents_of(call: Call) -> list[Database | State]:
    """Return the databases and states among a call's arguments."""
    return [call.arguments[name] for name in call.operator.residents]


def key_of(resident: Database | State) -> str:
    """Return the key of a resident: a database's digest, or a state's id."""
    return resident.digest if isinstance(resident, Database) else resident.id


def fetch(device: Device, state: State) -> State:
    """Return a copy of a state that a device holds, after checking it; raise `DeviceError` if it is wrong."""
    if not isinstance(device, StateKeeper):
        raise DeviceError(f"{device.name} keeps {state.id} but has no method fetch")
    found = device.fetch(state.id)
    if not isinstance(found, State) or (found.id, found.version) != (state.id, state.version):
        got = f"version {found.version} of {found.id}" if isinstance(found, State) else type(found).__name__
        raise DeviceError(f"{device.name} returned {got}, not version {state.version} of {state.id}")
    for layout, sizes in state.checked.items():
        try:
            now = layout.sizes_of(found)
        except InputError as error:
            raise DeviceError(f"{device.name} returned a wrong copy of {state.id}: {error}") from error
        if now != sizes:
            raise DeviceError(f"{device.name} returned a copy of {state.id} with sizes {dict(now)}, not {dict(sizes)}")
    return found


class ResidentTable:
    """Residents of one device, and their order of use.

    Only the device's worker calls the methods that change them; other threads read a snapshot.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[int, int]] = OrderedDict()  # key -> version (0 for a database), bytes

    def holds(self, resident: Database | State) -> bool:
        """Return True if the resident is on the device, a state in the same version."""
        held = self._held.get(resident.digest if isinstance(resident, Database) else resident.id)
        return held is not None and held[0] == getattr(resident, "version", 0)

    def sizes(self) -> dict[str, int]:
        """Return bytes by digest or id, the least recently used first."""
        return {key: size for key, (_, size) in self._held.copy().items()}

    def use(self, resident: Database | State) -> bool:
        """Note the use of a resident; return False if the device does not have it."""
        key = resident.digest if isinstance(resident, Database) else resident.id
        held = self._held.get(key)
        if held is None or held[0] != getattr(resident, "version", 0):
            return False
        self._held.move_to_end(key)
        return True

    def bring(self, device: Device, resident: Database | State, keep: Iterable[str] = ()) -> None:
        """Load a resident unless the device has it, after evicting others if necessary.

        Parameters
        ----------
        device : Device
            Target device.
        resident : Database or State
            Resident to load.
        keep : iterable of str
            Keys that must not be evicted, since the same call needs them.

        Raises
        ------
        UnsupportedError
            The device is too small; the message gives both sizes.
        """
        if self.use(resident):
            return
        key, size = key_of(resident), resident.nbytes
        self._make_room(device, key, size, {*keep, key})
        device.load(resident)
        self._held[key] = (resident.version if isinstance(resident, State) else 0, size)
        self._held.move_to_end(key)

    def advance(self, state: State | Kept) -> None:
        """Record that the device holds this version of a state, after its step."""
        if (held := self._held.get(state.id)) is not None:
            self._held[state.id] = (state.version, held[1] if isinstance(state, Kept) else state.nbytes)

    def drop(self, device: Device, key: str) -> None:
        """Unload a resident if the device has it."""
        if key in self._held:
            device.unload(key)
            self.forget(key)

    def forget(self, key: str) -> None:
        """Remove a resident from the list without unloading it."""
        self._held.pop(key, None)

    def _make_room(self, device: Device, key: str, size: int, keep: set[str]) -> None:
        capacity = device.capacity_bytes
        if capacity is None:
            return
        kept = sum(held for other, (_, held) in self._held.items() if other in keep and other != key)
        if size + kept > capacity:
            besides = f" in addition to {kept:,} that the same call needs" if kept else ""
            raise UnsupportedError(
                f"{device.name} holds at most {capacity:,} bytes, but {size:,} must be loaded{besides}"
            )
        for other in [name for name in self._held if name not in keep]:
            if sum(held for name, (_, held) in self._held.items() if name != key) + size <= capacity:
                return
            device.unload(other)
            del self._held[other]
