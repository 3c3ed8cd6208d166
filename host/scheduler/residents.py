"""Residents of a device: databases and states, evicted least recently used first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ninefold.spec.data import Database, State
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.protocols import Device
from ninefold.spec.signature import Call

__all__ = ["Residents", "key_of", "nbytes_of", "residents_of"]


def residents_of(call: Call) -> list[Database | State]:
    """Return the databases and states among a call's arguments."""
    return [call.arguments[name] for name in call.operator.residents]


def key_of(resident: Database | State) -> str:
    """Return the key of a resident: a database's digest, or a state's id."""
    return resident.digest if isinstance(resident, Database) else resident.id


def nbytes_of(resident: Database | State) -> int:
    """Return the size of a resident in bytes."""
    return sum(int(array.nbytes) for array in resident.arrays.values())


class Residents:
    """Residents of one device, and their order of use.

    Only the device's worker calls `bring` and `forget`; other threads read a snapshot.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[int, int]] = OrderedDict()  # key -> version (0 for a database), bytes

    def holds(self, resident: Database | State) -> bool:
        """Return True if the resident is on the device, a state in the same version."""
        held = self._held.get(key_of(resident))
        return held is not None and held[0] == (resident.version if isinstance(resident, State) else 0)

    def sizes(self) -> dict[str, int]:
        """Return bytes by digest or id, the least recently used first."""
        return {key: size for key, (_, size) in self._held.copy().items()}

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
        key, size = key_of(resident), nbytes_of(resident)
        if self.holds(resident):
            self._held.move_to_end(key)
            return
        self._make_room(device, key, size, {*keep, key})
        device.load(resident)
        self._held[key] = (resident.version if isinstance(resident, State) else 0, size)
        self._held.move_to_end(key)

    def advance(self, state: State) -> None:
        """Record that the device holds the next version of a state, after its step."""
        if state.id in self._held:
            self._held[state.id] = (state.version, nbytes_of(state))

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
