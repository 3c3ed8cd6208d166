"""Loihi as a backend: probing, opening, and the device that runs calls on the chip's emulator."""

import contextlib
import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, UnavailableError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.runners import Runners, scan
from ninefold.spec.signature import Call

from .chip import Chip
from .library import INSTALL, installed, library
from .membranes import Membranes
from .network import Activity, cores_for
from .rows import Rows
from .sorter import Sorter

__all__ = ["Loihi", "LoihiDevice"]

_Network = TypeVar("_Network", Sorter, Membranes)

#: Time limit of a call in seconds; the emulator computes every time step of the chip.
TIMEOUT_S = 600.0


class Loihi:
    """The backend ``loihi``, with one device: ``loihi:emulator``, or ``loihi``.

    Parameters
    ----------
    chip : Chip, optional
        Limits of the chip; Loihi's own by default.
    """

    name = "loihi"

    def __init__(self, chip: Chip | None = None) -> None:
        self._chip = chip or Chip()

    def probe(self) -> Sequence[Found | Missing]:
        """Search for nengo-loihi and NxSDK without importing them."""
        hardware = Missing("loihi:hardware", *_no_hardware())
        if not installed():
            return [Missing("loihi:emulator", "the package nengo-loihi is not installed", INSTALL), hardware]
        text = f"the Loihi chip in nengo-loihi {_version()}'s emulator, strict; {self._chip.cores} cores per chip"
        kind = "neuromorphic"
        ratings = _runners().ratings(kind)
        found = Found("loihi:emulator", text, ratings, named_only=True, kind=kind, unit=HOST, timeout_s=TIMEOUT_S)
        return [found, hardware]

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def open(self, instance: str = "") -> "LoihiDevice":
        """Open the emulator; `instance` is empty or ``emulator``.

        Raises
        ------
        InputError
            Unknown instance.
        UnavailableError
            The instance is ``hardware`` (the message gives the reason), or nengo-loihi is missing or does not import.
        """
        if instance == "hardware":
            raise UnavailableError(*_no_hardware())
        if instance not in ("", "emulator"):
            raise InputError(f"loihi's instance must be one of emulator, hardware, not {instance!r}")
        library()
        return LoihiDevice(_runners(), self._chip)


class LoihiDevice:
    """Opened emulator of the chip.

    Parameters
    ----------
    runners : Runners
        The operators of this backend.
    chip : Chip
        Limits of the chip.

    Attributes
    ----------
    name : str
        ``loihi:emulator``.
    path : str
        Emulator and version.
    residents : LoadedResidents
        Loaded databases.
    """

    name = "loihi:emulator"

    def __init__(self, runners: Runners, chip: Chip) -> None:
        self.path = f"nengo-loihi {_version()} emulator"
        self.residents = LoadedResidents(self, runners)
        self._chip = chip
        self._networks: dict[tuple[type[Sorter | Membranes], int], Any] = {}
        self._activity = Activity()
        self._build_seconds = 0.0
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """None: emulated chips are host memory, and rows beyond one chip use the next."""
        return None

    def load(self, resident: Database | State) -> None:
        """Build the network of a database; see `LoadedResidents.load`."""
        self._check_open()
        self.residents.load(resident)

    def unload(self, key: str) -> None:
        """Drop the network of the database with digest `key`."""
        self.residents.unload(key)

    def run(self, call: Call) -> Answer:
        """Run one call; its build time counts as ``build_seconds``, not as ``seconds``."""
        self._check_open()
        self._build_seconds = 0.0
        return self.residents.run(call)

    def close(self) -> None:
        """Drop every network."""
        self.residents.clear()
        self._networks.clear()
        self._closed = True

    def build(self, nits: npt.NDArray[np.int8]) -> Rows:
        """Return a network of rows (N, D)."""
        with self._building():
            return Rows(nits, self._chip, self._activity)

    def sorter(self, size: int) -> Sorter:
        """Return a network that selects among `size` scores; it keeps no data between calls."""
        return self._network(Sorter, size)

    def membranes(self, clusters: int) -> Membranes:
        """Return a network of leaky membranes for the `clusters` of a batch; it keeps no data between calls."""
        return self._network(Membranes, clusters)

    def _network(self, kind: type[_Network], neurons: int) -> _Network:
        """Return the network of a kind for a number of neurons, built on first use."""
        with self._building():
            cores = cores_for(neurons, kind.axons, self._chip)
            if (kind, cores) not in self._networks:
                self._networks[kind, cores] = kind(cores, self._chip, self._activity)
            made: _Network = self._networks[kind, cores]
            return made

    @contextlib.contextmanager
    def timed(self, cores: int) -> Iterator[dict[str, float]]:
        """Measure a block; the mapping holds its ``seconds``, the preceding ``build_seconds``, and the activity."""
        metrics: dict[str, float] = {}
        before = asdict(self._activity)
        start = time.perf_counter()
        yield metrics
        metrics["seconds"] = time.perf_counter() - start
        metrics["build_seconds"] = self._build_seconds
        metrics["cores"] = cores
        metrics |= {name: count - before[name] for name, count in asdict(self._activity).items()}

    @contextlib.contextmanager
    def _building(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._build_seconds += time.perf_counter() - start

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")


@lru_cache
def _runners() -> Runners:
    return scan(__package__)


def _version() -> str:
    try:
        return version("nengo-loihi")
    except PackageNotFoundError:
        return "of unknown version"


def _no_hardware() -> tuple[str, str]:
    """Return the reason that there is no Loihi board, and a remedy."""
    if importlib.util.find_spec("nxsdk") is None:
        return (
            "nxsdk is not installed: emulator only",
            "Intel gives NxSDK and boards to members of its neuromorphic research community (INRC)",
        )
    return (
        "nxsdk is installed, but this backend supports only the emulator",
        "use loihi:emulator",
    )
