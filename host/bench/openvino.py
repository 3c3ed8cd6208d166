"""Exact search by OpenVINO, on each device that it finds, beside the CPU backend on the same database.

Run with ``ninefold bench openvino``. The data comes from a seeded generator: normal numbers, quantised with ``tanh`` at
the multiple of sigma that sentence embeddings calibrate to.
"""

import functools
import time
from typing import Any

import numpy as np

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.openvino import OpenVino
from ninefold.host.nits import pack
from ninefold.host.quantise import quantise
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS

from .devices import found
from .timing import interleaved

__all__ = ["openvino"]

_ROWS, _DIMENSIONS, _K, _SCALE, _SEED = 100_000, 384, 10, 0.5, 9
#: Queries -> repetitions.
_CASES = {1: 31, 64: 11}


def _measure() -> list[Row]:
    """Measure ``mine`` on every device of OpenVINO, and what loading the database takes.

    Returns
    -------
    list of Row
        Ratios of medians to the CPU backend (``x``), median times (``ms``) and load times (``s``).

    Raises
    ------
    UnavailableError
        When OpenVINO is not installed, or finds no device.
    DeviceError
        When a device and the CPU backend differ.
    """
    backend = OpenVino()
    devices = found(backend)
    vectors = np.random.default_rng(_SEED).standard_normal((_ROWS, _DIMENSIONS), np.float32)
    attributes: dict[str, Any] = {"rows": _ROWS, "dimensions": _DIMENSIONS, "scale": _SCALE, "mode": "tanh"}
    database = Database({"nits": pack(quantise(vectors, _SCALE, "tanh"))}, attributes)
    q = np.random.default_rng(_SEED + 1).standard_normal((max(_CASES), _DIMENSIONS), np.float32)
    cpu = Cpu().open()
    cpu.load(database)
    rows: list[Row] = []
    for entry in devices:
        device = backend.open(entry.device.partition(":")[2])
        start = time.perf_counter()
        device.load(database)
        seconds = time.perf_counter() - start
        detail = f"compiled into graphs that hold {device.nbytes / 1e6:.1f} MB of packed nits"
        rows.append(Row(f"{entry.device}: load {_ROWS:,} x {_DIMENSIONS}", seconds, "s", detail=detail))
        for queries, repetitions in _CASES.items():
            call = OPERATORS["mine"].bind({"q": q[:queries], "database": database}, {"k": _K})
            answers = [cpu.run(call), device.run(call)]
            if any(not np.array_equal(answers[0].values[name], answers[1].values[name]) for name in ("ids", "scores")):
                raise DeviceError(f"{entry.device} and {cpu.name} differ in the results of {queries} queries")
            contenders = {"cpu": functools.partial(cpu.run, call), "openvino": functools.partial(device.run, call)}
            medians = interleaved(contenders, repetitions)
            name = f"{entry.device}: exact search, {_ROWS:,} x {_DIMENSIONS}, k = {_K}, queries = {queries}"
            peer = f"cpu, path {cpu.path}"
            figures = f"{medians['openvino'] * 1e3:.2f} ms, cpu {medians['cpu'] * 1e3:.2f} ms"
            detail = f"{figures}; {repetitions} interleaved repetitions; {entry.description}"
            rows.append(Row(f"{name}, to cpu", medians["openvino"] / medians["cpu"], "x", "", peer, detail))
            rows.append(Row(name, medians["openvino"] * 1e3, "ms", "", peer, detail))
        device.close()
    return rows


def _check() -> object:
    return found(OpenVino())


#: Measures the backend ``openvino``.
openvino = Benchmark(_measure, _check)
