"""Exact search on each OpenVINO device beside the CPU backend on the same database.

Run with ``ninefold bench openvino``. The data are seeded normal numbers, quantised with ``tanh`` at the multiple of
sigma that sentence embeddings calibrate to.
"""

import functools
import time
from typing import Any

import numpy as np

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.openvino import OpenVino
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS

from .devices import found
from .timing import interleaved

__all__ = ["openvino"]

_DIMENSIONS, _K, _SCALE, _SEED = 384, 10, 0.5, 9
_ROWS = {"tiny": 1000, "small": 100_000, "large": 1_000_000}
#: Repetitions for each number of queries; seconds a case.
_CASES, _BUDGET_S = {1: 31, 64: 11}, 20.0


def _measure(request: Request) -> list[Figure]:
    """Measure ``mine`` on every OpenVINO device, and the loading of the database.

    Returns
    -------
    list of Figure
        Times beside the CPU backend, and load times.

    Raises
    ------
    UnavailableError
        OpenVINO is not installed, or finds no device.
    DeviceError
        A device and the CPU backend give different answers.
    """
    backend = OpenVino()
    devices = found(backend, request.of_backend(backend.name))
    rows = _ROWS[request.size]
    vectors = np.random.default_rng(_SEED).standard_normal((rows, _DIMENSIONS), np.float32)
    attributes: dict[str, Any] = {"rows": rows, "dimensions": _DIMENSIONS, "scale": _SCALE, "mode": "tanh"}
    database = Database({"nits": pack(quantise(vectors, _SCALE, "tanh"))}, attributes)
    q = np.random.default_rng(_SEED + 1).standard_normal((max(_CASES), _DIMENSIONS), np.float32)
    cpu = Cpu(threads=request.threads).open()
    cpu.load(database)
    sizes: dict[str, Parameter] = {"rows": rows, "dimensions": _DIMENSIONS}
    figures: list[Figure] = []
    for entry in devices:
        device = backend.open(entry.device.partition(":")[2])
        start = time.perf_counter()
        device.load(database)
        seconds = time.perf_counter() - start
        detail = f"compiled into graphs that hold {device.nbytes / 1e6:.1f} MB of packed nits"
        figures.append(Figure("mine", entry.device, "loaded in", seconds, "s", sizes, better="less", detail=detail))
        for queries, repetitions in _CASES.items():
            call = OPERATORS["mine"].bind({"q": q[:queries], "database": database}, {"k": _K})
            answers = [cpu.run(call), device.run(call)]
            if any(not np.array_equal(answers[0].values[name], answers[1].values[name]) for name in ("ids", "scores")):
                raise DeviceError(f"{entry.device} and {cpu.name} differ in the results of {queries} queries")
            contenders = {
                cpu.name: functools.partial(cpu.run, call),
                entry.device: functools.partial(device.run, call),
            }
            times = interleaved(contenders, repetitions, _BUDGET_S)
            parameters: dict[str, Parameter] = {**sizes, "k": _K, "queries": queries}
            figures.append(times.figure("mine", entry.device, parameters, beside=cpu.name, detail=entry.description))
            figures.append(times.figure("mine", cpu.name, parameters, better="", detail=f"path {cpu.path}"))
        device.close()
    return figures


def _check() -> object:
    return found(OpenVino())


#: Suite that measures the backend ``openvino``.
openvino = Benchmark(_measure, _check, ("openvino",))
