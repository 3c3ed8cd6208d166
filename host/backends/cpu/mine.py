"""``mine`` on the CPU."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import Ranked, Selection, empty
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .engine import Engine, blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "load", "nearest", "run"]

#: High: the C++ kernel searches.
RATING = 8

#: Queries searched together: their lists are small, and their nits stay in the second-level cache.
_QUERIES = 256
#: Bytes of float32 nits unpacked together, which stay in the processor's cache.
_BLOCK_BYTES = 4 << 20


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise the queries and search the packed nits in place."""
    started = time.perf_counter()
    database = call.database()
    scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
    nits = quantise(np.asarray(call.arguments["q"]), scale, mode)  # type: ignore[arg-type]
    packed = database.arrays["nits"]
    ids, scores = nearest(device.engine, nits, packed, call.options["k"])
    count = np.empty(len(ids), np.int64)
    count[:] = min(call.options["k"], len(packed))
    metrics = {"seconds": time.perf_counter() - started}
    return Answer({"ids": ids, "scores": scores, "count": count}, device.path, metrics)


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - rows are searched where they are
    """Check a database."""
    checked_nits(database)


def nearest(engine: Engine, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
    """Return the k rows with the largest dot products with each query, of equal products the lower row first.

    Control returns to Python often enough for interrupts.

    Parameters
    ----------
    engine : Engine
        Path of the search.
    nits : int8 array of shape (Q, D)
        Queries.
    packed : uint8 array of shape (N, ceil(D / 2))
        Rows of packed nits.
    k : int
        Number of results per query.
    """
    if engine.openvino is not None:
        return engine.openvino.nearest(nits, packed, k)
    ids, scores = empty(len(nits), k, np.int32)
    for part in blocks(len(nits), _QUERIES):
        if engine.kernel is not None:
            _by_kernel(engine.kernel, nits[part], packed, (ids[part], scores[part]))
        else:
            ids[part], scores[part] = _by_numpy(nits[part], packed, k)
    return ids, scores


def _by_kernel(kernel: Kernel, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], found: Ranked) -> None:
    queries, nits, packed = len(nits), np.ascontiguousarray(nits), np.ascontiguousarray(packed)
    ids, scores = found
    count = np.zeros(queries, np.int32)
    for rows in blocks(len(packed), max(1, kernel.products // (queries * nits.shape[1]))):
        some = packed[rows]
        kernel("mine", some, *some.shape, rows.start, nits, *nits.shape, ids.shape[1], ids, scores, count)


def _by_numpy(nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
    """Widen blocks of nits to float32, which holds their dot products exactly."""
    rows, width = packed.shape
    # Even elements are in the low nibbles and odd ones in the high nibbles. With its top bit flipped a nibble reads
    # as nit + 8, so 8 times the sum of the query is subtracted. All sums stay below 2**24.
    even = np.zeros((len(nits), width), np.float32)
    odd = np.zeros((len(nits), width), np.float32)
    even[:] = nits[:, 0::2]
    odd[:, : nits.shape[1] // 2] = nits[:, 1::2]
    offset = 8 * nits.sum(axis=1, dtype=np.int32)[:, None].astype(np.float32)
    selection = Selection(len(nits), k, np.int32)
    step = max(1, _BLOCK_BYTES // (4 * width))
    wide: npt.NDArray[np.float32] = np.empty((min(step, rows), width), np.float32)
    for part in blocks(rows, step):
        block: npt.NDArray[Any] = packed[part] ^ np.uint8(0x88)
        values = wide[: len(block)]
        values[:] = block & np.uint8(15)
        total = even @ values.T
        values[:] = block >> np.uint8(4)
        total += odd @ values.T
        total -= offset
        selection.offer(total, part.start)
    return selection.ids, selection.scores
