"""Exact search on each OpenCL device beside the CPU backend, and how near it comes to the device's memory.

Run with ``ninefold bench opencl``. The data comes from a seeded generator: normal numbers, quantised with ``tanh`` at
the multiple of sigma that sentence embeddings calibrate to.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.cpu.device import CpuDevice
from ninefold.host.backends.opencl import OpenCl
from ninefold.host.backends.opencl.device import OpenClDevice
from ninefold.host.nits import pack
from ninefold.host.quantise import quantise
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST

from .devices import found
from .timing import interleaved

__all__ = ["opencl"]

_ROWS, _DIMENSIONS, _K, _SCALE, _SEED = 100_000, 384, 10, 0.5, 9
#: Queries -> repetitions.
_CASES = {1: 41, 64: 15}
#: With Intel's runtime, on the processor that the CPU backend runs on.
_TARGET, _TARGET_OF = "<= 1.5", "Intel(R) OpenCL"
#: Rows of the database that is read from memory rather than from a cache, and repetitions.
_MANY, _REPETITIONS = 1_000_000, 11


def _measure() -> list[Row]:
    """Measure ``mine`` on every OpenCL device, what loading takes, and bytes a second beside a plain copy.

    Returns
    -------
    list of Row
        Ratios of medians to the CPU backend (``x``), median times (``ms``), load times (``s``), memory bandwidth
        (``GB/s``) and its ratio to the bandwidth of a copy on the device.

    Raises
    ------
    UnavailableError
        When there is no OpenCL device.
    DeviceError
        When a device and the CPU backend differ.
    """
    backend = OpenCl()
    devices = found(backend)
    vectors = np.random.default_rng(_SEED).standard_normal((_ROWS, _DIMENSIONS), np.float32)
    database = Database({"nits": pack(quantise(vectors, _SCALE, "tanh"))}, _attributes(_ROWS))
    packed = np.random.default_rng(_SEED).integers(0, 5, (_MANY, _DIMENSIONS // 2), np.uint8)
    large = Database({"nits": packed}, _attributes(_MANY))
    cpu = Cpu().open()
    rows: list[Row] = []
    for entry in devices:
        device = backend.open(entry.device.partition(":")[2])
        start = time.perf_counter()
        device.load(database)
        seconds = time.perf_counter() - start
        held = device.memory.resident_bytes / (_ROWS * _DIMENSIONS)
        detail = f"{held:.3f} byte a dimension on the device; the check of the nits included; {entry.description}"
        rows.append(Row(f"{entry.device}: load {_ROWS:,} x {_DIMENSIONS}", seconds, "s", detail=detail))
        for queries, repetitions in _CASES.items():
            rows += _compare(
                device,
                cpu,
                database,
                queries,
                repetitions,
                _TARGET if entry.unit == HOST and _TARGET_OF in entry.description else "",
            )
        rows += _bandwidth(device, large)
        device.close()
    return rows


def _attributes(rows: int) -> dict[str, Any]:
    return {"rows": rows, "dimensions": _DIMENSIONS, "scale": _SCALE, "mode": "tanh"}


def _queries(count: int) -> Any:
    return np.random.default_rng(_SEED + 1).standard_normal((count, _DIMENSIONS), np.float32)


def _compare(
    device: OpenClDevice, cpu: CpuDevice, database: Database, queries: int, repetitions: int, target: str
) -> list[Row]:
    call = OPERATORS["mine"].bind({"q": _queries(queries), "database": database}, {"k": _K})
    answers = [cpu.run(call), device.run(call)]
    if any(not np.array_equal(answers[0].values[name], answers[1].values[name]) for name in ("ids", "scores")):
        raise DeviceError(f"{device.name} and {cpu.name} differ in the results of {queries} queries")
    medians = interleaved(
        {"cpu": functools.partial(cpu.run, call), "opencl": functools.partial(device.run, call)}, repetitions
    )
    name = f"{device.name}: exact search, {_ROWS:,} x {_DIMENSIONS}, k = {_K}, queries = {queries}"
    peer = f"cpu, path {cpu.path}"
    figures = f"{medians['opencl'] * 1e3:.2f} ms, cpu {medians['cpu'] * 1e3:.2f} ms"
    detail = f"{figures}; {repetitions} interleaved repetitions; {answers[1].path}"
    return [
        Row(f"{name}, to cpu", medians["opencl"] / medians["cpu"], "x", target, peer, detail),
        Row(name, medians["opencl"] * 1e3, "ms", "", peer, detail),
    ]


def _bandwidth(device: OpenClDevice, database: Database) -> list[Row]:
    """Time one query of a large database beside a copy on the device, which reads and writes each byte."""
    call = OPERATORS["mine"].bind({"q": _queries(1), "database": database}, {"k": _K})
    device.load(database)
    size = database.nbytes
    medians = interleaved({"search": functools.partial(device.run, call), "copy": _copier(device, size)}, _REPETITIONS)
    device.unload(database.digest)
    search, copy = size / medians["search"] / 1e9, 2 * size / medians["copy"] / 1e9
    name = f"{device.name}: packed nits read, {_MANY:,} x {_DIMENSIONS}, 1 query"
    detail = f"{medians['search'] * 1e3:.2f} ms a search; a copy moves {copy:.1f} GB/s, read and written"
    return [
        Row(name, search, "GB/s", "", "", detail),
        Row(f"{name}, to a copy", search / copy, "x", "", "copy between two buffers of the device", detail),
    ]


def _copier(device: OpenClDevice, size: int) -> Callable[[], None]:
    """Return what copies so many bytes from one buffer of a device to another."""
    import pyopencl as cl

    source, target = device.memory.allocate(size), device.memory.allocate(size)

    def copy() -> None:
        cl.enqueue_copy(device.queue, target, source, byte_count=size).wait()

    return copy


def _check() -> object:
    return found(OpenCl())


#: Measures the backend ``opencl``.
opencl = Benchmark(_measure, _check)
