"""The CPU as a backend: probing, opening, and the device that runs calls."""

import os
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from ninefold.host.refine import accelerate
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.runners import Runners, scan
from ninefold.spec.signature import Call
from ninefold.spec.text import counted

from .engine import Engine
from .paths import PATHS, best, default_threads, make, processor, why_not
from .rerank import rerank

__all__ = ["Cpu", "CpuDevice"]


class Cpu:
    """The backend ``cpu``: ``cpu`` uses the best path, ``cpu:PATH`` only the given path.

    Parameters
    ----------
    path : str, optional
        Path of the bare name ``cpu``; by default ``$NINEFOLD_CPU_PATH``, else the best path.
    threads : int, optional
        Maximum number of threads of a search; by default ``$OMP_NUM_THREADS``, else one per processor of this process.
    """

    name = "cpu"

    def __init__(self, path: str | None = None, threads: int | None = None) -> None:
        if path is not None and path not in PATHS:
            raise InputError(f"the CPU's path must be one of {', '.join(PATHS)}, not {path!r}")
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self._path = path
        self._threads = threads

    def probe(self) -> Sequence[Found | Missing]:
        """Return the processor, and each path as an instance used only by name; nothing is compiled."""
        name, flags = processor()
        shown = [flag for flag in ("avx2", "avx512f", "avx512bw", "avx512_vnni") if flag in flags]
        usable = [path for path in PATHS if why_not(path) is None]
        wanted = self._path or os.environ.get("NINEFOLD_CPU_PATH") or usable[0]
        found: list[Found | Missing] = []
        if wanted in usable:
            processors = counted(len(os.sched_getaffinity(0)), "processor")
            text = f"{name} ({processors}; {' '.join(shown) or 'no AVX2'}), path {wanted}"
            found.append(Found("cpu", text, _runners().ratings("cpu"), unit=HOST, timeout_s=None))
        else:
            reason = why_not(wanted) if wanted in PATHS else None
            text = f"NINEFOLD_CPU_PATH must be one of {', '.join(PATHS)}, not {wanted!r}"
            found.append(Missing("cpu", *(reason or (text, "unset NINEFOLD_CPU_PATH"))))
        for path in PATHS:
            reason = why_not(path)
            instance = f"cpu:{path}"
            only = Found(instance, f"{name}, path {path} only", {}, named_only=True, unit=HOST, timeout_s=None)
            found.append(Missing(instance, *reason) if reason else only)
        return found

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def open(self, instance: str = "") -> "CpuDevice":
        """Open the processor; `instance` is empty or the name of a path.

        Raises
        ------
        InputError
            Unknown instance or path.
        UnavailableError
            The path cannot run here; the message gives the reason.
        ToolError
            A path was requested and its kernel does not compile.
        """
        if instance and instance not in PATHS:
            raise InputError(f"cpu's instance must be one of {', '.join(PATHS)}, not {instance!r}")
        threads = self._threads or default_threads()
        wanted = instance or self._path or os.environ.get("NINEFOLD_CPU_PATH")
        # Compiled now; otherwise compiling would count as time of the first search, which also affects device choice.
        engine, note = (make(wanted, threads), "") if wanted else best(threads)
        return CpuDevice(f"cpu:{instance}" if instance else "cpu", _runners(), engine, note)


class _Timed:
    """Time of a block. A class, since small calls pay for a generator of ``contextlib``."""

    def __enter__(self) -> dict[str, float]:
        self._metrics: dict[str, float] = {}
        self._start = time.perf_counter()
        return self._metrics

    def __exit__(self, *_: object) -> None:
        self._metrics["seconds"] = time.perf_counter() - self._start


class CpuDevice:
    """Opened processor.

    Parameters
    ----------
    name : str
        ``cpu`` or ``cpu:PATH``.
    runners : Runners
        The operators of this backend.
    engine : Engine
        Path that computes.
    note : str
        Reason that the engine is not the kernel; empty if it is.

    Attributes
    ----------
    path : str
        Path of a search, e.g. ``"avx2"``, with the note if there is one.
    residents : LoadedResidents
        Loaded databases and states.
    """

    def __init__(self, name: str, runners: Runners, engine: Engine, note: str = "") -> None:
        self.name = name
        self.engine = engine
        self.path = f"{engine.path} ({note})" if note else engine.path
        self.residents = LoadedResidents(self, runners)
        if engine.kernel is not None:
            accelerate(partial(rerank, engine.kernel))

    @property
    def capacity_bytes(self) -> int | None:
        """None: databases stay where they are, in the host's memory or mapped from a file."""
        return None

    def load(self, resident: Database | State) -> None:
        """Check a resident; nothing is copied. See `LoadedResidents.load`."""
        self.residents.load(resident)

    def unload(self, key: str) -> None:
        """Forget a resident; data kept for a database is freed with the database."""
        self.residents.unload(key)

    def run(self, call: Call) -> Answer:
        """Run one call."""
        return self.residents.run(call)

    def fetch(self, key: str) -> State:
        """Return a copy of a state that a step has left here; see `LoadedResidents.fetch`."""
        return self.residents.fetch(key)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def timed(self) -> _Timed:
        """Measure a block; the mapping then holds ``seconds``."""
        return _Timed()


@lru_cache
def _runners() -> Runners:
    return scan(__package__)
