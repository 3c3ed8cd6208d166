"""``candidates`` on the CPU."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import check_database
from ninefold.numerics.ranked import empty
from ninefold.numerics.shards import bounds_of, merge, shard
from ninefold.numerics.signs import coarse_scores, sign_plane
from ninefold.numerics.stages import eligible_rows, quantised, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel
from .probe import lists_of
from .signs import KernelPlanes, planes_of

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "derive", "found", "load", "run"]

RATING = 8
#: Slots of candidates in one call of the kernel, of each of which a thread has two.
_SLOTS = 1 << 18


def run(device: "CpuDevice", call: Call) -> Answer:
    """Scan the sign plane of the database, and select."""
    started = time.perf_counter()
    values = found(device, call, quantised(call))
    metrics = {"seconds": time.perf_counter() - started}
    return Answer(values, device.path if device.engine.kernel is not None else "numpy", metrics)


def derive(device: "CpuDevice", database: Database) -> KernelPlanes | tuple[npt.NDArray[np.uint8], ...]:
    """Derive the sign planes of a database when it is first scanned; they take a quarter of the nits' memory."""
    if device.engine.kernel is not None:
        return planes_of(database)
    dimensions = int(database.attributes["dimensions"])
    return tuple(sign_plane(np.asarray(part.require("nits")), dimensions) for part in database.parts)


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - sign planes are derived when needed
    """Check a database."""
    check_database(database)


def found(
    device: "CpuDevice", call: Call, queries: npt.NDArray[np.int8], *, ascending: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Return the values of a call of ``candidates``.

    Parameters
    ----------
    device, call : CpuDevice, Call
        As `run` takes them.
    queries : int8 array of shape (Q, D)
        Nits of the queries.
    ascending : bool
        Return only ids, in ascending order, and count. Empty slots are last.
    """
    kernel, planes = device.engine.kernel, device.residents.form(call.database(), derive)
    if kernel is not None:
        return _by_kernel(kernel, call, queries, planes, ascending)
    bounds = bounds_of(call.database())
    found = []
    for part, plane in zip(shard(call, bounds), planes, strict=True):
        scores = coarse_scores(queries, plane, call.sizes["D"])
        found.append(selected(scores, call.options["keep"], eligible_rows(part, queries)))
    values = merge(call, bounds, found) if bounds else found[0]
    if ascending:
        for ids, number in zip(values["ids"], values["count"].tolist(), strict=True):
            ids[:number].sort()
    return values


def _by_kernel(
    kernel: Kernel, call: Call, queries: npt.NDArray[np.int8], planes: KernelPlanes, ascending: bool
) -> dict[str, npt.NDArray[Any]]:
    keep, macro, allowed = call.options["keep"], call.options["macro"], call.arguments["allowed"]
    clustered = next((part for part in call.database().parts if "macro" in part.arrays), call.database())
    mask = None if allowed is None else np.ascontiguousarray(allowed)
    table, _owners = planes.table(0 if macro is None else len(queries))
    ids, scores = empty(len(queries), keep, np.int32)
    count = np.zeros(len(queries), np.int64)
    # A call of the kernel ends well within a second, so that interrupts are handled.
    step = max(1, min(_SLOTS // keep, 8 * kernel.products // max(1, call.sizes["N"] * call.sizes["D"])))
    for part in blocks(len(queries), step):
        some = np.ascontiguousarray(queries[part])
        lists, each = None, 0
        if macro is not None:
            lists, _ = lists_of(kernel, some, clustered, macro, call.options["micro"])
            each = lists.shape[1]
        found = ids[part], None if ascending else scores[part], count[part]
        kernel("candidates", table, len(table), mask, lists, each, some, *some.shape, keep, *found)
    return {"ids": ids, "scores": scores, "count": count}
