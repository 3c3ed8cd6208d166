"""``probe`` on the CPU."""

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked
from ninefold.numerics.stages import best_lists, quantised
from ninefold.spec.data import Answer, Database
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS
from ninefold.spec.signature import Call

from .engine import blocks
from .kernel import Kernel

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "lists_of", "run"]

RATING = 6
#: Queries in one call of the kernel, which ends well within a second.
_QUERIES = 4096


def run(device: "CpuDevice", call: Call) -> Answer:
    """Score the centroids of clusters and lists, and select."""
    macro, micro, kernel = call.options["macro"], call.options["micro"], device.engine.kernel
    started = time.perf_counter()
    queries, database = quantised(call), call.database()
    if kernel is None:
        ids, scores = best_lists(queries, database, macro, micro)
    else:
        ids, scores = lists_of(kernel, queries, database, macro, micro)
    metrics = {"seconds": time.perf_counter() - started}
    count = np.full(len(ids), macro * micro, np.int64)
    return Answer({"ids": ids, "scores": scores, "count": count}, "numpy" if kernel is None else device.path, metrics)


def lists_of(kernel: Kernel, queries: npt.NDArray[np.int8], database: Database, macro: int, micro: int) -> Ranked:
    """Return what `ninefold.numerics.stages.best_lists` returns, by the kernel."""
    coarse, fine = (np.ascontiguousarray(database.require(name)) for name in ("macro", "micro"))
    ids = np.empty((len(queries), macro * micro), np.int64)
    scores = np.empty(ids.shape, np.int32)
    for part in blocks(len(queries), _QUERIES):
        some = np.ascontiguousarray(queries[part])
        centroids = coarse, MACRO_CLUSTERS, fine, MICRO_CLUSTERS, coarse.shape[1]
        kernel("probe", *centroids, some, *some.shape, macro, micro, ids[part], scores[part])
    return ids, scores
