"""OpenCL as a backend: probing, opening, and the device that runs calls."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, UnavailableError
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.runners import Runners, scan
from ninefold.spec.signature import Call

from .kernels import Group, Kernels, Vector
from .launcher import Launcher
from .platforms import INSTALL, DeviceEntry, choose, entries

__all__ = ["OpenCl", "OpenClDevice"]

#: Time limit of a call in seconds; the first call may build kernels and load a database.
TIMEOUT_S = 60.0
_FAMILIES = ("vector", "group")


class OpenCl:
    """The backend ``opencl``: ``opencl`` is the first device, ``opencl:1`` is by number, ``opencl:nvidia`` by name.

    Parameters
    ----------
    family : str, optional
        Family of kernels: ``vector`` (default for processors) or ``group`` (default for other devices).
    """

    name = "opencl"

    def __init__(self, family: str | None = None) -> None:
        if family is not None and family not in _FAMILIES:
            raise InputError(f"the kernels' family must be one of {', '.join(_FAMILIES)}, not {family!r}")
        self._family = family

    def probe(self) -> Sequence[Found | Missing]:
        """Return every device of every platform; nothing is built."""
        try:
            return [
                Found(
                    f"opencl:{entry.index}",
                    entry.description,
                    _runners().ratings(entry.kind),
                    kind=entry.kind,
                    unit=entry.unit,
                    timeout_s=TIMEOUT_S,
                )
                for entry in entries()
            ]
        except UnavailableError as error:
            return [Missing("opencl", error.what, error.install)]
        except Exception as error:  # drivers raise any type, and a probe must not raise
            return [Missing("opencl", f"a driver failed to describe its device: {error}", INSTALL)]

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def resolve(self, instance: str) -> str:
        """Return the device with that number or part of a name; errors as in `open`."""
        return f"opencl:{choose(entries(), instance).index}"

    def open(self, instance: str = "") -> "OpenClDevice":
        """Open a device by its number or part of its name; an empty name opens the first, a GPU if there is one.

        Raises
        ------
        UnavailableError
            No device has that name (the message lists the devices), or it cannot be opened.
        InputError
            Several devices have that name.
        """
        entry = choose(entries(), instance)
        name = f"opencl:{instance}" if instance else "opencl"
        try:
            return OpenClDevice(name, entry, self._family)
        except DeviceError as error:
            raise UnavailableError(str(error), "check the device's driver") from error


class OpenClDevice:
    """Opened OpenCL device.

    Parameters
    ----------
    name : str
        Name of the device.
    entry : DeviceEntry
        The device.
    family : str or None
        As in `OpenCl`.

    Attributes
    ----------
    entry : DeviceEntry
        The device.
    launcher : Launcher
        Queue and kernels of the device.
    memory : Memory
        Memory of the device.
    residents : LoadedResidents
        Loaded databases and states.
    """

    def __init__(self, name: str, entry: DeviceEntry, family: str | None = None) -> None:
        self.name = name
        self.entry = entry
        self.launcher = Launcher(name, entry)
        self.memory = self.launcher.memory
        self._vectors = (
            Vector(self.launcher) if (family or ("vector" if entry.kind == "cpu" else "group")) == "vector" else None
        )
        self._groups = Group(self.launcher)
        self.residents = LoadedResidents(self, _runners(), self.memory.load, self.memory.free)
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """Size of the device's memory."""
        return self.memory.capacity_bytes

    def kernels(self, dimensions: int = 1) -> Kernels:
        """Return the family of kernels for rows of `dimensions` nits."""
        return self._vectors if self._vectors is not None and self._vectors.fit(dimensions) else self._groups

    def load(self, resident: Database | State) -> None:
        """Load a resident in the forms that the backend's operators need; see `LoadedResidents.load`.

        Raises
        ------
        UnsupportedError
            The resident does not fit; the message gives the numbers.
        """
        self._check_open()
        self.residents.load(resident)

    def unload(self, key: str) -> None:
        """Free the database with digest `key`, or the state with id `key`."""
        self.residents.unload(key)

    def run(self, call: Call) -> Answer:
        """Run one call to its end."""
        self._check_open()
        return self.residents.run(call)

    def fetch(self, key: str) -> State:
        """Return a copy of a state that a step has left here; see `LoadedResidents.fetch`."""
        return self.residents.fetch(key)

    def close(self) -> None:
        """Free everything on the device."""
        self.residents.clear()
        self.launcher.close()
        self._closed = True

    @contextlib.contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Measure a block; the mapping then holds ``build_seconds`` and ``seconds``, which excludes them."""
        metrics: dict[str, float] = {}
        start, built = time.perf_counter(), self.launcher.build_seconds
        yield metrics
        metrics["build_seconds"] = self.launcher.build_seconds - built
        metrics["seconds"] = time.perf_counter() - start - metrics["build_seconds"]

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")


@lru_cache
def _runners() -> Runners:
    return scan(__package__)
