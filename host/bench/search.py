"""Exact nonary search on the CPU beside FAISS's 8-bit scalar quantiser on the same nits.

Run with ``ninefold bench search``. The data comes from a seeded generator: normal numbers, quantised with ``tanh`` at
the multiple of sigma that sentence embeddings calibrate to.
"""

import functools
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.cpu.paths import default_threads, why_not
from ninefold.host.nits import pack
from ninefold.host.quantise import quantise
from ninefold.host.scheduler import run
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.data import Database, Task
from ninefold.spec.errors import DeviceError, ToolError, UnavailableError
from ninefold.spec.operators import OPERATORS

from .timing import interleaved

__all__ = ["search"]

_ROWS, _DIMENSIONS, _K, _SCALE, _SEED = 100_000, 384, 10, 0.5, 9
#: Queries -> (repetitions, the ratio to FAISS that is the target).
_CASES = {1: (41, "<= 0.75"), 64: (15, "<= 0.30")}
#: The signed kind: the unsigned one also takes queries as unsigned bytes, so it cannot rank by the same product.
_PEER = "faiss-cpu IndexScalarQuantizer QT_8bit_direct_signed, inner product"


def _measure() -> list[Row]:
    """Measure the CPU backend's ``mine`` on every path that runs here, its memory and its latency.

    Returns
    -------
    list of Row
        Ratios of medians to FAISS (``x``), median times (``ms``), bytes a dimension and peak memory (``GB``).

    Raises
    ------
    DeviceError
        When a path and FAISS differ in a score.
    """
    vectors = np.random.default_rng(_SEED).standard_normal((_ROWS, _DIMENSIONS), np.float32)
    nits = quantise(vectors, _SCALE, "tanh")
    q = np.random.default_rng(_SEED + 1).standard_normal((max(_CASES), _DIMENSIONS), np.float32)
    database = _database(nits)
    index = _faiss_index(nits)
    rows: list[Row] = []
    for queries, (repetitions, target) in _CASES.items():
        rows += _compare(database, index, q[:queries], repetitions, target)
    packed = database.arrays["nits"]
    rows.append(Row("packed nits, bytes a dimension", packed.nbytes / nits.size, "byte", "<= 0.52"))
    rows.append(_latency(nits, q))
    rows.append(_peak_memory())
    return rows


def _check() -> None:
    if importlib.util.find_spec("faiss") is None:
        raise UnavailableError("faiss-cpu is not installed", "pip install 'ninefold[bench]'")


search = Benchmark(_measure, _check)


def _database(nits: npt.NDArray[np.int8]) -> Database:
    attributes = {"rows": len(nits), "dimensions": nits.shape[1], "scale": _SCALE, "mode": "tanh"}
    return Database({"nits": pack(nits)}, attributes)


def _faiss_index(nits: npt.NDArray[np.int8]) -> Any:
    import faiss

    faiss.omp_set_num_threads(default_threads())
    kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(nits.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(nits[:1].astype(np.float32))
    for first in range(0, len(nits), 10_000):
        index.add(nits[first : first + 10_000].astype(np.float32))
    return index


def _compare(database: Database, index: Any, q: npt.NDArray[np.float32], repetitions: int, target: str) -> list[Row]:
    """Time every path and FAISS in turn, and check that their scores are the same."""
    call = OPERATORS["mine"].bind({"q": q, "database": database}, {"k": _K})
    as_floats = quantise(q, _SCALE, "tanh").astype(np.float32)
    wanted = index.search(as_floats, _K)[0]
    backend = Cpu()
    # The emulated path is for tests. The first path that runs is the one that `cpu` takes.
    paths = [path for path in ("avx512", "avx2", "portable", "openvino", "numpy") if why_not(path) is None]
    contenders: dict[str, Callable[[], Any]] = {"faiss": lambda: index.search(as_floats, _K)}
    for path in paths:
        device = backend.open(path)
        if not np.array_equal(device.run(call).values["scores"], wanted):
            raise DeviceError(f"cpu:{path} and FAISS differ in the scores of {len(q)} queries")
        contenders[path] = functools.partial(device.run, call)
    medians = interleaved(contenders, repetitions)
    name = f"exact search, {_ROWS:,} x {_DIMENSIONS}, k = {_K}, queries = {len(q)}"
    threads = f"{default_threads()} threads, {repetitions} interleaved repetitions, seeded normal data"
    ratio = medians[paths[0]] / medians["faiss"]
    detail = f"{paths[0]} {medians[paths[0]] * 1e3:.2f} ms, FAISS {medians['faiss'] * 1e3:.2f} ms; {threads}"
    rows = [Row(f"{name}, {paths[0]} / FAISS", ratio, "x", target, _PEER, detail)]
    for path in paths:
        detail = f"{medians[path] / medians['faiss']:.2f} x FAISS"
        rows.append(Row(f"{name}, {path}", medians[path] * 1e3, "ms", "", _PEER, detail))
    return rows


def _latency(nits: npt.NDArray[np.int8], q: npt.NDArray[np.float32]) -> Row:
    """Time one query of a small database through the public call."""
    database = _database(nits[:6000])
    task = Task("mine", {"q": q[:1], "database": database}, {"k": _K}, device="cpu")
    run(task)
    times = interleaved({"run": lambda: run(task)}, 201)
    return Row(f"latency of one query, 6,000 x {_DIMENSIONS}, through run()", times["run"] * 1e3, "ms", "<= 2")


_MEMORY = """
from pathlib import Path
import numpy as np
from ninefold.host.backends.cpu import Cpu
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS

rows, dimensions = 1_000_000, 384
packed = np.random.default_rng(0).integers(0, 5, (rows, dimensions // 2), np.uint8)
attributes = {"rows": rows, "dimensions": dimensions, "scale": 0.5, "mode": "tanh"}
database = Database({"nits": packed}, attributes)
q = np.random.default_rng(1).standard_normal((64, dimensions), np.float32)
device = Cpu().open()
device.run(OPERATORS["mine"].bind({"q": q, "database": database}, {"k": 10}))
# Not ru_maxrss, which a process takes over from the one that started it.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(peak - packed.nbytes, device.path)
"""


def _peak_memory() -> Row:
    """Measure a process of its own that searches a million rows; its whole peak counts, less the packed nits."""
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"the process that searches a million rows failed:\n{done.stderr[-2000:]}")
    peak, path = done.stdout.split(maxsplit=1)
    name = f"peak memory beyond the packed nits, 1,000,000 x {_DIMENSIONS}, 64 queries"
    detail = f"whole process, interpreter and NumPy included, path {path.strip()}"
    return Row(name, int(peak) / 1e9, "GB", "< 0.3", "", detail)
