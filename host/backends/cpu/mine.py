"""``mine`` on the CPU."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.ranked import Ranked, Selection, empty
from ninefold.numerics.stages import candidates_call, eligible_rows, quantised
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from . import candidates
from .engine import Engine, blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "among", "load", "nearest", "run"]

#: High: the C++ kernel searches.
RATING = 8

#: Queries searched together: their lists are small, and their nits stay in the second-level cache.
_QUERIES = 256
#: Bytes of float32 nits unpacked together, which stay in the processor's cache.
_BLOCK_BYTES = 4 << 20


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise the queries and search the packed nits in place."""
    started = time.perf_counter()
    nits, packed, k = quantised(call), call.database().arrays["nits"], call.options["k"]
    if call.options["scan"] == "signs":
        first = candidates.found(device, candidates_call(call), nits, ascending=True)
        values = among(device.engine, nits, packed, first["ids"], first["count"], k)
    elif (eligible := eligible_rows(call, nits)) is not None:
        values = among(device.engine, nits, packed, *_padded(eligible), k)
    else:
        ids, scores = nearest(device.engine, nits, packed, k)
        values = {"ids": ids, "scores": scores, "count": np.full(len(ids), min(k, len(packed)), np.int64)}
    return Answer(values, device.path, {"seconds": time.perf_counter() - started})


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - rows are searched where they are
    """Check a database."""
    checked_nits(database)


def among(
    engine: Engine,
    nits: npt.NDArray[np.int8],
    packed: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    k: int,
) -> dict[str, npt.NDArray[Any]]:
    """Return the best k of some rows for each query, as ``mine`` does; see `nearest`.

    Parameters
    ----------
    engine, nits, packed, k : Engine, int8 array, uint8 array, int
        As `nearest` takes them.
    rows : int64 array of shape (Q, n)
        Rows to score for each query, ascending, and then slots that are not read.
    number : int64 array of shape (Q,)
        Number of rows of each query.
    """
    ids, scores = empty(len(nits), k, np.int32)
    count = np.zeros(len(nits), np.int32)
    if engine.kernel is not None:
        _among_by_kernel(engine.kernel, nits, np.ascontiguousarray(packed), (rows, number), (ids, scores), count)
        return {"ids": ids, "scores": scores, "count": count.astype(np.int64)}
    for query, filled in enumerate(number.tolist()):
        numbers = rows[query, :filled]
        found, best = nearest(engine, nits[query : query + 1], np.asarray(packed)[numbers], k)
        count[query] = slots = min(k, filled)
        ids[query, :slots], scores[query, :slots] = numbers[found[0, :slots]], best[0, :slots]
    return {"ids": ids, "scores": scores, "count": count.astype(np.int64)}


def _among_by_kernel(
    kernel: Kernel,
    nits: npt.NDArray[np.int8],
    packed: npt.NDArray[np.uint8],
    listed: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    found: Ranked,
    count: npt.NDArray[np.int32],
) -> None:
    ids, scores = found
    rows, number = listed
    for part in blocks(len(nits), max(1, kernel.products // max(1, rows.shape[1] * nits.shape[1]))):
        some = np.ascontiguousarray(nits[part])
        shape = packed.shape[1], rows[part], number[part], rows.shape[1]
        kernel("mine_among", packed, *shape, some, *some.shape, ids.shape[1], ids[part], scores[part], count[part])


def _padded(rows: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows of several queries as one array, filled up, and their numbers."""
    number = np.array([len(some) for some in rows], np.int64)
    padded = np.zeros((len(rows), number.max(initial=1)), np.int64)
    for line, some in zip(padded, rows, strict=True):
        line[: len(some)] = some
    return padded, number


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
