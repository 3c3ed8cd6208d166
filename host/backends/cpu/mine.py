"""``mine`` on the CPU."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import JoinedRows, check_database, joined_rows
from ninefold.numerics.ranked import Ranked, Selection, empty
from ninefold.numerics.shards import bounds_of, merge, shard
from ninefold.numerics.stages import candidates_call, eligible_rows, quantised
from ninefold.spec.data import Answer, Database
from ninefold.spec.formats import NO_ID
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
#: Share of the rows of a mask from which the kernel scores them all, and leaves out the others; below, it copies them.
_SCANNED = 1 / 4
#: Bytes of float32 nits unpacked together, which stay in the processor's cache.
_BLOCK_BYTES = 4 << 20


def run(device: "CpuDevice", call: Call) -> Answer:
    """Quantise the queries and search the packed nits in place."""
    started = time.perf_counter()
    nits = quantised(call)
    if call.options["scan"] == "signs":
        first = candidates.found(device, candidates_call(call), nits, ascending=True)
        rows = joined_rows(call.database(), "nits")
        values = among(device.engine, nits, rows, first["ids"], first["count"], call.options["k"])
    else:
        values = _by_nits(device.engine, call, nits)
    return Answer(values, device.path, {"seconds": time.perf_counter() - started})


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - rows are searched where they are
    """Check a database."""
    check_database(database)


def _by_nits(engine: Engine, call: Call, nits: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[Any]]:
    """Return the values of a call that scores all eligible rows by nits."""
    k, allowed, database = call.options["k"], call.arguments["allowed"], call.database()
    if call.options["macro"] is None and _scans(engine, database, allowed):
        ids, scores = nearest(engine, nits, joined_rows(database, "nits"), k, allowed)
        return {"ids": ids, "scores": scores, "count": np.count_nonzero(ids != NO_ID, axis=1)}
    if database.joins:
        bounds = bounds_of(database)
        return merge(call, bounds, [_by_nits(engine, part, nits) for part in shard(call, bounds)])
    return among(engine, nits, joined_rows(database, "nits"), *_padded(eligible_rows(call, nits) or []), k)


def _scans(engine: Engine, database: Database, allowed: npt.NDArray[np.uint8] | None) -> bool:
    """Return whether an engine scans all rows of a database; otherwise it copies those that are scored."""
    if engine.kernel is None:
        return allowed is None and not database.joins
    rows = int(database.attributes["rows"])
    return allowed is None or int(np.bitwise_count(allowed).sum()) >= _SCANNED * rows


def among(
    engine: Engine,
    nits: npt.NDArray[np.int8],
    packed: JoinedRows,
    rows: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    k: int,
) -> dict[str, npt.NDArray[Any]]:
    """Return the best k of some rows for each query, as ``mine`` does; see `nearest`.

    Parameters
    ----------
    engine, nits, packed, k : Engine, int8 array, JoinedRows, int
        As `nearest` takes them.
    rows : int64 array of shape (Q, n)
        Rows to score for each query, ascending, and then slots that are not read.
    number : int64 array of shape (Q,)
        Number of rows of each query.
    """
    ids, scores = empty(len(nits), k, np.int32)
    count = np.zeros(len(nits), np.int32)
    if engine.kernel is not None:
        _among_by_kernel(engine.kernel, nits, packed, (rows, number), (ids, scores), count)
        return {"ids": ids, "scores": scores, "count": count.astype(np.int64)}
    for query, filled in enumerate(number.tolist()):
        numbers = rows[query, :filled]
        found, best = nearest(engine, nits[query : query + 1], packed[numbers], k)
        count[query] = slots = min(k, filled)
        ids[query, :slots], scores[query, :slots] = numbers[found[0, :slots]], best[0, :slots]
    return {"ids": ids, "scores": scores, "count": count.astype(np.int64)}


def _among_by_kernel(
    kernel: Kernel,
    nits: npt.NDArray[np.int8],
    packed: JoinedRows,
    listed: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    found: Ranked,
    count: npt.NDArray[np.int32],
) -> None:
    ids, scores = found
    rows, number = listed
    for part in blocks(len(nits), max(1, kernel.products // max(1, rows.shape[1] * nits.shape[1]))):
        some = np.ascontiguousarray(nits[part])
        stored = packed.table, len(packed.table), packed.shape[1], rows[part], number[part], rows.shape[1]
        kernel("mine_among", *stored, some, *some.shape, ids.shape[1], ids[part], scores[part], count[part])


def _padded(rows: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows of several queries as one array, filled up, and their numbers."""
    number = np.array([len(some) for some in rows], np.int64)
    padded = np.zeros((len(rows), number.max(initial=1)), np.int64)
    for line, some in zip(padded, rows, strict=True):
        line[: len(some)] = some
    return padded, number


def nearest(
    engine: Engine,
    nits: npt.NDArray[np.int8],
    packed: npt.NDArray[np.uint8] | JoinedRows,
    k: int,
    allowed: npt.NDArray[np.uint8] | None = None,
) -> Ranked:
    """Return the k rows with the largest dot products with each query, of equal products the lower row first.

    Control returns to Python often enough for interrupts.

    Parameters
    ----------
    engine : Engine
        Path of the search.
    nits : int8 array of shape (Q, D)
        Queries.
    packed : uint8 array or JoinedRows of shape (N, ceil(D / 2))
        Rows of packed nits; only the kernel takes rows of several arrays.
    k : int
        Number of results per query.
    allowed : uint8 array of shape (ceil(N / 8),), optional
        Bits of the rows that may be returned, for the kernel only.
    """
    rows = packed if isinstance(packed, JoinedRows) else JoinedRows([packed])
    if engine.openvino is not None:
        return engine.openvino.nearest(nits, rows.arrays[0], k)
    ids, scores = empty(len(nits), k, np.int32)
    for part in blocks(len(nits), _QUERIES):
        if engine.kernel is not None:
            _by_kernel(engine.kernel, nits[part], rows, allowed, (ids[part], scores[part]))
        else:
            ids[part], scores[part] = _by_numpy(nits[part], rows.arrays[0], k)
    return ids, scores


def _by_kernel(
    kernel: Kernel,
    nits: npt.NDArray[np.int8],
    packed: JoinedRows,
    allowed: npt.NDArray[np.uint8] | None,
    found: Ranked,
) -> None:
    queries, nits = len(nits), np.ascontiguousarray(nits)
    mask = None if allowed is None else np.ascontiguousarray(allowed)
    ids, scores = found
    count = np.zeros(queries, np.int32)
    for rows in blocks(len(packed), max(1, kernel.products // (queries * nits.shape[1]))):
        stored = packed.table, len(packed.table), rows.start, rows.stop, packed.shape[1], mask
        kernel("mine", *stored, nits, *nits.shape, ids.shape[1], ids, scores, count)


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
