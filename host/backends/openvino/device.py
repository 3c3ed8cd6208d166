"""OpenVINO as a backend: probing, opening, and the device that runs calls."""

import contextlib
import importlib.util
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from ninefold.host.backends.residents import check_database
from ninefold.host.graphs import BLOCK, Graph, Product, Target, one_line
from ninefold.host.graphs.runtime import load
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, LostDeviceError, UnavailableError, UnsupportedError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.registry import Runners, scan
from ninefold.spec.signature import Call

from .check import inexact

__all__ = ["OpenVino", "OpenVinoDevice"]

#: Time limit of a call in seconds; the first call compiles graphs, and on a GPU or NPU the sentence model.
TIMEOUT_S = 120.0
#: Kinds of devices, best first.
_KINDS: Final = ("GPU", "NPU", "CPU")
#: Kind -> (path of its hardware in Linux, remedy if OpenVINO does not see it).
_DRIVERS: Final = {
    "GPU": ("/dev/dri", "an Intel GPU needs Intel's compute runtime (intel-opencl-icd) and membership in group render"),
    "NPU": ("/dev/accel", "an Intel NPU needs Intel's linux-npu-driver and membership in group render"),
    "CPU": ("/proc/cpuinfo", "reinstall it: pip install --force-reinstall openvino"),
}
_INSTALL: Final = "pip install 'ninefold[openvino]'"
#: Properties with the size of a device's own memory.
_MEMORY: Final = {"GPU": "GPU_DEVICE_TOTAL_MEM_SIZE", "NPU": "NPU_DEVICE_TOTAL_MEM_SIZE"}


class OpenVino:
    """The backend ``openvino``: ``openvino:GPU``, ``openvino:NPU``, ``openvino:CPU``, or another of OpenVINO's names.

    The bare name selects the best device found: the GPU, else the NPU, else the processor.
    """

    name = "openvino"

    def probe(self) -> Sequence[Found | Missing]:
        """Return the devices that OpenVINO sees, best first, and each usual kind of device that it does not see."""
        if importlib.util.find_spec("openvino") is None:
            reason = "the package openvino is not installed"
            return [Missing(f"openvino:{kind}", reason, _INSTALL) for kind in _KINDS]
        try:
            core, version = _core()
            names = _devices(core)
        except Exception as error:  # drivers' libraries raise any type, and a probe must not raise
            reason = f"openvino is installed but does not start: {one_line(error)}"
            return [Missing(f"openvino:{kind}", reason, _INSTALL) for kind in _KINDS]
        seen = f"openvino {version} sees {', '.join(names) or 'no device'}{' only' if len(names) == 1 else ''}"
        found: list[Found | Missing] = []
        for name in names:
            text = f"{_full_name(core, name)}, by openvino {version}"
            kind = _kind(name)
            unit = HOST if kind == "CPU" else ""
            found.append(
                Found(
                    f"openvino:{name}",
                    text,
                    _runners().ratings(kind.lower()),
                    kind=kind.lower(),
                    unit=unit,
                    timeout_s=TIMEOUT_S,
                )
            )
        for kind in _KINDS:
            if kind not in map(_kind, names):
                place, install = _DRIVERS[kind]
                note = "" if Path(place).exists() else f", and there is no {place}"
                found.append(Missing(f"openvino:{kind}", seen + note, install))
        return found

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def resolve(self, instance: str) -> str:
        """Return the device's name in capitals, as OpenVINO spells it."""
        return f"openvino:{instance.upper()}"

    def open(self, instance: str = "") -> "OpenVinoDevice":
        """Open a device by OpenVINO's name; the best device for an empty name.

        Raises
        ------
        UnavailableError
            OpenVINO is not installed, does not start, or does not see that device.
        """
        if importlib.util.find_spec("openvino") is None:
            raise UnavailableError("the package openvino is not installed", _INSTALL)
        try:
            core, version = _core()
            names = _devices(core)
        except (ImportError, RuntimeError) as error:
            raise UnavailableError(f"openvino is installed but does not start: {one_line(error)}", _INSTALL) from error
        instance = instance.upper()
        # GPU and GPU.0 name the same device.
        known = [*names, *(f"{n}.0" for n in names if "." not in n), *(_kind(n) for n in names)]
        if not names or (instance and instance not in known):
            wanted = f"openvino has no device {instance!r}: " if instance else ""
            install = _DRIVERS[_kind(instance)][1] if _kind(instance) in _DRIVERS else ""
            raise UnavailableError(f"{wanted}openvino {version} sees {', '.join(names) or 'no device'}", install)
        return OpenVinoDevice(instance or names[0], _runners())


class OpenVinoDevice:
    """Opened OpenVINO device.

    Parameters
    ----------
    device : str
        OpenVINO's name of the device.
    runners : Runners
        The operators of this backend.

    Attributes
    ----------
    name : str
        ``openvino:DEVICE``.
    target : Target
        Target that graphs are compiled for.
    """

    def __init__(self, device: str, runners: Runners) -> None:
        self.name = f"openvino:{device}"
        self.target = Target(device)
        self._runners = runners
        self._graphs: dict[Hashable, Graph] = {}
        self._databases: dict[str, list[tuple[int, Product]]] = {}
        self._closed = False

    @cached_property
    def capacity_bytes(self) -> int | None:
        """Memory of a GPU or NPU if it reports one; None for the processor, which uses the host's memory."""
        size = self.target.property(_MEMORY.get(_kind(self.target.device), ""))
        return int(size) if size else None

    @property
    def nbytes(self) -> int:
        """Bytes of the nits on the device, half a byte each."""
        return sum(product.nbytes for products in self._databases.values() for _, product in products)

    def load(self, resident: Database | State) -> None:
        """Check a database's packed nits and compile them, still packed, into graphs that stay on the device.

        Raises
        ------
        InputError
            The nits are not rows x dimensions packed nits (the message gives the first wrong position), or ``quantise``
            does not accept scale or mode.
        UnsupportedError
            The resident is a state, or the nits exceed the device's memory; the message gives the numbers.
        DeviceError
            The device fails.
        """
        self._check_open()
        if isinstance(resident, State):
            raise UnsupportedError(f"{self.name} runs no stateful operator, so it accepts databases only")
        if "nits" not in resident.arrays or resident.digest in self._databases:
            return
        check_database(resident)
        packed = np.asarray(resident.arrays["nits"])
        free = None if self.capacity_bytes is None else self.capacity_bytes - self.nbytes
        if free is not None and packed.nbytes > free:
            room = f"{free:,} of {self.capacity_bytes:,} bytes free"
            raise UnsupportedError(f"{self.name} has {room}, but the database needs {packed.nbytes:,}")
        step = max(1, BLOCK // (2 * packed.shape[1]))
        starts = range(0, len(packed), step)
        self._databases[resident.digest] = [(i, Product(self.target, packed[i : i + step])) for i in starts]

    def unload(self, key: str) -> None:
        """Drop the graphs of the database with digest `key`."""
        self._databases.pop(key, None)

    def run(self, call: Call) -> Answer:
        """Run one call; its compile time counts as ``build_seconds``, not as ``seconds``."""
        self._check_open()
        built = self.target.build_seconds
        try:
            answer = self._runners(self, call)
        except DeviceError as error:
            if self.gone():
                raise LostDeviceError(f"{self.name} is gone: {error}") from error
            raise
        seconds = answer.metrics.get("build_seconds", 0) + self.target.build_seconds - built
        return replace(answer, metrics={**answer.metrics, "build_seconds": seconds})

    def close(self) -> None:
        """Drop every graph."""
        self._databases.clear()
        self._graphs.clear()
        self._closed = True

    def gone(self) -> bool:
        """Return True if a new OpenVINO core no longer sees the device."""
        try:
            names = _devices(_core()[0])
        except RuntimeError:
            return True
        device = self.target.device
        return device not in names and _kind(device) not in map(_kind, names)

    def products(self, digest: str) -> list[tuple[int, Product]]:
        """Return first row and graph of each block of a loaded database."""
        return self._databases[digest]

    def graph(self, key: Hashable, make: Callable[[], Graph]) -> Graph:
        """Return the graph of a key; `make` compiles it on first use."""
        if key not in self._graphs:
            self._graphs[key] = make()
        return self._graphs[key]

    def path(self, how: str) -> str:
        """Return the path of an answer: OpenVINO, its device, and the method `how`."""
        return f"openvino {self.target.device}, {how}"

    def check_exact(self) -> None:
        """Raise `UnsupportedError` unless the device computes exactly; the known-answer test runs once.

        Raises
        ------
        UnsupportedError
            The device is not exact; the message gives its first error.
        """
        if self._inexact:
            raise UnsupportedError(f"{self.name} is not exact, so it only embeds: {self._inexact}")

    @contextlib.contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Measure a block; the mapping contains its ``seconds``, without compiling."""
        metrics: dict[str, float] = {}
        start, built = time.perf_counter(), self.target.build_seconds
        yield metrics
        metrics["seconds"] = time.perf_counter() - start - (self.target.build_seconds - built)

    @cached_property
    def _inexact(self) -> str:
        return inexact(self)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")


@lru_cache
def _runners() -> Runners:
    return scan(__package__)


def _core() -> tuple[Any, str]:
    """Return a new core, which searches for devices again, and OpenVINO's version."""
    module = load()
    return module.Core(), str(module.__version__).partition("-")[0]


def _devices(core: Any) -> list[str]:
    """Return the devices of known kinds that a core sees, best kind first."""
    known = (name for name in core.available_devices if _kind(name) in _KINDS)
    return sorted(known, key=lambda name: (_KINDS.index(_kind(name)), name))


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _full_name(core: Any, name: str) -> str:
    try:
        return str(core.get_property(name, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return f"an unnamed {name}"
