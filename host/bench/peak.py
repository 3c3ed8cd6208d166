"""Limits of the machine for a roofline: bytes read from memory and int8 operations a second."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from ninefold.host.backends.cpu.kernel import compile_shared, compiler
from ninefold.spec.benchmark import Figure, Request, summary
from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["Peak", "measure"]

_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-w")
#: Size of an array larger than any cache, which all threads together read.
_BYTES = {"tiny": 1 << 25, "small": 1 << 29, "large": 1 << 30}
#: Rounds of a call, which takes a few milliseconds.
_ROUNDS = {"tiny": 100_000, "small": 2_000_000, "large": 5_000_000}
_REPETITIONS = {"tiny": 3, "small": 9, "large": 15}


@dataclass(frozen=True)
class Peak:
    """Measured limits.

    Attributes
    ----------
    read : Figure
        Bytes read from memory a second, in GB/s.
    int8 : Figure or None
        Operations on bytes, in 10^9 a second; None if the processor has no instruction for them.
    """

    read: Figure
    int8: Figure | None

    @property
    def figures(self) -> list[Figure]:
        """Figures that were measured."""
        return [self.read] if self.int8 is None else [self.read, self.int8]


def measure(request: Request) -> Peak:
    """Measure with all threads at once; a limit is the best of several repetitions, as in STREAM.

    Raises
    ------
    UnavailableError
        There is no C++ compiler.
    ToolError
        The compiler fails.
    """
    library = ctypes.CDLL(str(_build()))
    library.ninefold_read.argtypes, library.ninefold_read.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.c_uint64
    library.ninefold_multiply.argtypes, library.ninefold_multiply.restype = (ctypes.c_int64,), ctypes.c_int64
    words = np.ones(_BYTES[request.size] // 8, np.uint64)
    part = len(words) // request.threads

    def read(thread: int) -> int:
        library.ninefold_read(words.ctypes.data + 8 * part * thread, part)
        return 8 * part

    def multiply(_: int) -> int:
        return int(library.ninefold_multiply(_ROUNDS[request.size]))

    repetitions = _REPETITIONS[request.size]
    rates = _rates(read, request.threads, repetitions)
    memory = _figure("memory read", rates, "GB/s", request.threads)
    if not multiply(0) and not multiply(1):
        request.note("search: the roofline is skipped: the processor has neither AVX2 nor AVX-512 VNNI")
        return Peak(memory, None)
    rates = _rates(multiply, request.threads, repetitions)
    return Peak(memory, _figure("int8 rate", rates, "Gop/s", request.threads))


def _figure(quantity: str, rates: list[float], unit: str, threads: int) -> Figure:
    return Figure(
        "roof",
        "machine",
        quantity,
        max(rates),
        unit,
        {"threads": threads},
        spread=summary(rates)[1],
        repetitions=len(rates),
        detail=f"the best of {len(rates)}",
    )


def _rates(work: Callable[[int], int], threads: int, repetitions: int) -> list[float]:
    """Return 10^9 units of work a second of all threads together, one value a repetition after a warm-up."""
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repetitions + 1):
            start = time.perf_counter()
            done = sum(pool.map(work, range(threads)))
            found.append(done / (time.perf_counter() - start) / 1e9)
    return found[1:]


def _build() -> Path:
    source = resources.files("ninefold.host.bench").joinpath("peak.cpp").read_text()
    command = compiler()
    status = Path(command[0]).stat()

    def compile_in(folder: Path) -> None:
        (folder / "peak.cpp").write_text(source)
        compile_shared(command, _FLAGS, ["peak.cpp"], "peak.so", folder)

    key = digest_of(source, _FLAGS, command, status.st_mtime_ns, status.st_size)
    return BuildCache("peak").get(key, compile_in) / "peak.so"
