"""OpenVINO device that runs calls."""

import contextlib
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime import BLOCK, Graph, Product, Target, kind_of, start, visible
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, LostDeviceError, UnsupportedError
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.runners import Runners
from ninefold.spec.signature import Call

__all__ = ["OpenVinoDevice"]

#: Properties with the size of a device's own memory.
_MEMORY: Final = {"GPU": "GPU_DEVICE_TOTAL_MEM_SIZE", "NPU": "NPU_DEVICE_TOTAL_MEM_SIZE"}


class OpenVinoDevice:
    """Opened OpenVINO device.

    Parameters
    ----------
    device : str
        OpenVINO's name of the device.
    runners : Runners
        The operators of this backend.
    inexact : callable
        Known-answer test: returns the first error of a device in words, or an empty string.

    Attributes
    ----------
    name : str
        ``openvino:DEVICE``.
    target : Target
        Target that graphs are compiled for.
    residents : LoadedResidents
        Loaded databases.
    """

    def __init__(self, device: str, runners: Runners, inexact: Callable[["OpenVinoDevice"], str]) -> None:
        self.name = f"openvino:{device}"
        self.target = Target(device)
        self.residents = LoadedResidents(self, runners)
        self._products: weakref.WeakSet[Product] = weakref.WeakSet()
        self._judge = inexact
        self._graphs: dict[Hashable, Graph] = {}
        self._closed = False

    @cached_property
    def capacity_bytes(self) -> int | None:
        """Memory of a GPU or NPU if it reports one; None for the processor, which uses the host's memory."""
        size = self.target.property(_MEMORY.get(kind_of(self.target.device), ""))
        return int(size) if size else None

    @property
    def nbytes(self) -> int:
        """Bytes of the nits on the device, half a byte each."""
        return sum(product.nbytes for product in self._products)

    def load(self, resident: Database | State) -> None:
        """Load a resident in the forms that the backend's operators need; see `LoadedResidents.load`.

        Raises
        ------
        UnsupportedError
            The resident exceeds the device's memory; the message gives the numbers.
        DeviceError
            The device fails.
        """
        self._check_open()
        self.residents.load(resident)

    def unload(self, key: str) -> None:
        """Drop the graphs of the database with digest `key`."""
        self.residents.unload(key)

    def run(self, call: Call) -> Answer:
        """Run one call; its compile time counts as ``build_seconds``, not as ``seconds``."""
        self._check_open()
        built = self.target.build_seconds
        try:
            answer = self.residents.run(call)
        except DeviceError as error:
            if self.gone():
                raise LostDeviceError(f"{self.name} is gone: {error}") from error
            raise
        seconds = answer.metrics.get("build_seconds", 0) + self.target.build_seconds - built
        return replace(answer, metrics={**answer.metrics, "build_seconds": seconds})

    def products(self, packed: npt.NDArray[np.uint8]) -> list[tuple[int, Product]]:
        """Return packed nits, still packed, as the constants of graphs: first row and graph of each block.

        Raises
        ------
        UnsupportedError
            They exceed the device's memory; the message gives the numbers.
        """
        free = None if self.capacity_bytes is None else self.capacity_bytes - self.nbytes
        if free is not None and packed.nbytes > free:
            room = f"{free:,} of {self.capacity_bytes:,} bytes free"
            raise UnsupportedError(f"{self.name} has {room}, but the database needs {packed.nbytes:,}")
        step = max(1, BLOCK // (2 * packed.shape[1]))
        made = [(i, Product(self.target, packed[i : i + step])) for i in range(0, len(packed), step)]
        self._products.update(product for _, product in made)
        return made

    def close(self) -> None:
        """Drop every graph."""
        self.residents.clear()
        self._graphs.clear()
        self._closed = True

    def gone(self) -> bool:
        """Return True if a new OpenVINO core no longer sees the device."""
        try:
            names = visible(start()[0])
        except RuntimeError:
            return True
        device = self.target.device
        return device not in names and kind_of(device) not in map(kind_of, names)

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
        return self._judge(self)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
