"""The CPU as a backend: probing, opening, and the device that runs calls."""

import contextlib
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from ninefold.host.nits import check
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.registry import Runners, scan
from ninefold.spec.signature import Call

from .engines import Engine, NumpyEngine

__all__ = ["Cpu", "CpuDevice"]


class Cpu:
    """The backend ``cpu``."""

    name = "cpu"

    def probe(self) -> Sequence[Found | Missing]:
        """Describe the processor."""
        return [Found("cpu", "NumPy", {})]

    def operators(self) -> Mapping[str, str | None]:
        """Every operator -> None, or why this backend does not run it."""
        return _runners().operators()

    def open(self, instance: str = "") -> "CpuDevice":
        """Open the processor."""
        if instance:
            raise InputError(f"cpu has no instance {instance!r}")
        return CpuDevice("cpu", _runners())


class CpuDevice:
    """The processor, opened."""

    def __init__(self, name: str, runners: Runners) -> None:
        self.name = name
        self._runners = runners
        self._checked: weakref.WeakSet[Database] = weakref.WeakSet()

    @property
    def capacity_bytes(self) -> int | None:
        """None: databases stay where they are, in the host's memory or mapped from a file."""
        return None

    @cached_property
    def engine(self) -> Engine:
        """What searches packed nits."""
        return NumpyEngine()

    @property
    def path(self) -> str:
        """Which path searches."""
        return self.engine.path

    def load(self, resident: Database | State) -> None:
        """Check packed nits once; nothing is copied."""
        if isinstance(resident, Database) and "nits" in resident.arrays and resident not in self._checked:
            rows, dimensions = int(resident.attributes["rows"]), int(resident.attributes["dimensions"])
            packed = np.asarray(resident.arrays["nits"])
            if packed.ndim != 2 or len(packed) != rows:
                raise InputError(f"the database must hold {rows} rows of packed nits, not shape {packed.shape}")
            check(packed, dimensions)
            self._checked.add(resident)

    def unload(self, key: str) -> None:
        """Nothing to free: the data is the caller's."""

    def run(self, call: Call) -> Answer:
        """Run one call to its end."""
        return self._runners(self, call)

    def close(self) -> None:
        """Nothing to free."""

    @contextlib.contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Measure a block; the mapping holds ``seconds`` afterwards."""
        metrics: dict[str, float] = {}
        start = time.perf_counter()
        yield metrics
        metrics["seconds"] = time.perf_counter() - start


def _runners() -> Runners:
    return scan(__package__)
