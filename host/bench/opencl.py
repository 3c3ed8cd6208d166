"""Exact search on each OpenCL device beside the CPU backend, and its share of the device's memory bandwidth.

Run with ``ninefold bench opencl``. The data are seeded normal numbers, quantised with ``tanh`` at the multiple of
sigma that sentence embeddings calibrate to.
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
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST
from ninefold.spec.text import counted

from .devices import found
from .timing import interleaved

__all__ = ["opencl"]

_DIMENSIONS, _K, _SCALE, _SEED = 384, 10, 0.5, 9
_ROWS = {"tiny": 1000, "small": 100_000, "large": 100_000}
#: Repetitions for each number of queries; seconds a case.
_CASES, _BUDGET_S = {1: 41, 64: 15, 1024: 9}, 20.0
#: Most of the CPU backend's time, for a device on the same processor.
_TARGET, _TARGET_ROWS = "<= 1.3", 100_000
#: Rows of a database that no cache holds, and repetitions.
_MANY, _REPETITIONS = {"tiny": 2000, "small": 1_000_000, "large": 1_000_000}, 11


def _measure(request: Request) -> list[Figure]:
    """Measure ``mine`` on every OpenCL device, the loading of a database, and bytes a second beside a plain copy.

    Returns
    -------
    list of Figure
        Times beside the CPU backend, load times, memory bandwidth and its ratio to the bandwidth of a copy.

    Raises
    ------
    UnavailableError
        There is no OpenCL device.
    DeviceError
        A device and the CPU backend give different answers.
    """
    backend = OpenCl()
    devices = found(backend, request.of_backend(backend.name))
    rows, many = _ROWS[request.size], _MANY[request.size]
    vectors = np.random.default_rng(_SEED).standard_normal((rows, _DIMENSIONS), np.float32)
    database = Database({"nits": pack(quantise(vectors, _SCALE, "tanh"))}, _attributes(rows))
    packed = np.random.default_rng(_SEED).integers(0, 5, (many, _DIMENSIONS // 2), np.uint8)
    large = Database({"nits": packed}, _attributes(many))
    cpu = Cpu(threads=request.threads).open()
    cpu.load(database)
    figures: list[Figure] = []
    for entry in devices:
        device = backend.open(entry.device.partition(":")[2])
        start = time.perf_counter()
        device.load(database)
        seconds = time.perf_counter() - start
        held = device.memory.resident_bytes / (rows * _DIMENSIONS)
        detail = f"{held:.3f} byte a dimension on the device; the check of the nits included; {entry.description}"
        sizes: dict[str, Parameter] = {"rows": rows, "dimensions": _DIMENSIONS}
        figures.append(Figure("mine", entry.device, "loaded in", seconds, "s", sizes, better="less", detail=detail))
        for queries, repetitions in _CASES.items():
            figures += _compare(device, cpu, database, queries, repetitions, same_processor=entry.unit == HOST)
        figures += _bandwidth(device, large)
        device.close()
    return figures


def _attributes(rows: int) -> dict[str, Any]:
    return {"rows": rows, "dimensions": _DIMENSIONS, "scale": _SCALE, "mode": "tanh"}


def _queries(count: int) -> Any:
    return np.random.default_rng(_SEED + 1).standard_normal((count, _DIMENSIONS), np.float32)


def _compare(
    device: OpenClDevice, cpu: CpuDevice, database: Database, queries: int, repetitions: int, *, same_processor: bool
) -> list[Figure]:
    call = OPERATORS["mine"].bind({"q": _queries(queries), "database": database}, {"k": _K})
    answers = [cpu.run(call), device.run(call)]
    if any(not np.array_equal(answers[0].values[name], answers[1].values[name]) for name in ("ids", "scores")):
        raise DeviceError(f"{device.name} and {cpu.name} differ in the results of {queries} queries")
    times = interleaved(
        {cpu.name: functools.partial(cpu.run, call), device.name: functools.partial(device.run, call)},
        repetitions,
        _BUDGET_S,
    )
    sizes: dict[str, Parameter] = {
        "rows": call.sizes["N"],
        "dimensions": _DIMENSIONS,
        "k": _K,
        "queries": queries,
    }
    return [
        times.figure(
            "mine",
            device.name,
            sizes,
            beside=cpu.name,
            target=_TARGET if same_processor and call.sizes["N"] >= _TARGET_ROWS else "",
            detail=answers[1].path,
            task=f"OpenCL, {call.sizes['N']:,} rows, {counted(queries, 'query', 'queries')}" if same_processor else "",
        ),
        times.figure("mine", cpu.name, sizes, better="", detail=f"path {cpu.path}"),
    ]


def _bandwidth(device: OpenClDevice, database: Database) -> list[Figure]:
    """Time one query of a large database beside a copy on the device, which reads and writes every byte."""
    call = OPERATORS["mine"].bind({"q": _queries(1), "database": database}, {"k": _K})
    device.load(database)
    size = database.nbytes
    times = interleaved(
        {"search": functools.partial(device.run, call), "copy": _copier(device, size)}, _REPETITIONS, _BUDGET_S
    )
    device.unload(database.digest)
    rates = [size / seconds / 1e9 for seconds in times.seconds["search"]]
    copies = [2 * size / seconds / 1e9 for seconds in times.seconds["copy"]]
    sizes: dict[str, Parameter] = {"rows": call.sizes["N"], "dimensions": _DIMENSIONS, "k": _K, "queries": 1}
    shares = [rate / copy for rate, copy in zip(rates, copies, strict=True)]
    return [
        Figure.timed("memory", device.name, "packed nits read", rates, "GB/s", parameters=sizes, better="more"),
        Figure.timed(
            "memory",
            device.name,
            "of a copy's rate",
            shares,
            "",
            parameters=sizes,
            better="more",
            detail="a copy between two buffers of the device reads and writes each byte",
        ),
    ]


def _copier(device: OpenClDevice, size: int) -> Callable[[], None]:
    """Return a function that copies `size` bytes from one buffer of a device to another."""
    import pyopencl as cl

    source, target = device.memory.allocate(size), device.memory.allocate(size)

    def copy() -> None:
        cl.enqueue_copy(device.launcher.queue, target, source, byte_count=size).wait()

    return copy


def _check() -> object:
    return found(OpenCl())


#: Suite that measures the backend ``opencl``.
opencl = Benchmark(_measure, _check, ("opencl",))
