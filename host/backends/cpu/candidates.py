"""``candidates`` on the CPU."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.ranked import empty
from ninefold.numerics.signs import coarse_scores
from ninefold.numerics.stages import eligible_rows, quantised, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel
from .probe import lists_of
from .signs import signs_of

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


def derive(device: "CpuDevice", database: Database) -> npt.NDArray[np.uint8]:
    """Derive the sign plane of a database when it is first scanned; it takes a quarter of the nits' memory."""
    return signs_of(database, kernel=device.engine.kernel is not None)


def load(device: "CpuDevice", database: Database) -> None:  # noqa: ARG001 - the sign plane is derived when needed
    """Check a database."""
    checked_nits(database)


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
    kernel, plane = device.engine.kernel, device.residents.form(call.database(), derive)
    if kernel is None:
        scores = coarse_scores(queries, plane, call.sizes["D"])
        values = selected(scores, call.options["keep"], eligible_rows(call, queries))
        if ascending:
            for ids, number in zip(values["ids"], values["count"].tolist(), strict=True):
                ids[:number].sort()
        return values
    return _by_kernel(kernel, call, queries, plane, ascending)


def _by_kernel(
    kernel: Kernel, call: Call, queries: npt.NDArray[np.int8], plane: npt.NDArray[np.uint8], ascending: bool
) -> dict[str, npt.NDArray[Any]]:
    database, keep, macro = call.database(), call.options["keep"], call.options["macro"]
    allowed = call.arguments["allowed"]
    rows, dimensions = call.sizes["N"], call.sizes["D"]
    order = database.arrays.get("order")
    order = None if order is None else np.ascontiguousarray(order)
    mask = None if allowed is None else np.ascontiguousarray(allowed)
    ids, scores = empty(len(queries), keep, np.int32)
    count = np.zeros(len(queries), np.int64)
    # A call of the kernel ends well within a second, so that interrupts are handled.
    step = max(1, min(_SLOTS // keep, 8 * kernel.products // max(1, rows * dimensions)))
    for part in blocks(len(queries), step):
        some = np.ascontiguousarray(queries[part])
        ranges, each = None, 0
        if macro is not None:
            starts = np.asarray(database.require("starts"))
            lists, _ = lists_of(kernel, some, database, macro, call.options["micro"])
            ranges, each = np.stack([starts[lists], starts[lists + 1]], axis=-1), lists.shape[1]
        found = ids[part], None if ascending else scores[part], count[part]
        kernel("candidates", plane, rows, order, mask, ranges, each, some, *some.shape, keep, *found)
    return {"ids": ids, "scores": scores, "count": count}
