"""mine: ``threshold`` and ``rerank`` are applied here, after any device."""

import time
from collections.abc import Callable

import numpy as np

from ninefold.host.refine import refine
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import empty_lists

__all__ = ["run"]


def run(call: Call, on_device: Callable[[Call], Answer]) -> Answer:
    """Ask the device for rerank * k, and judge and score again what it returns."""
    k, threshold, rerank = call.options["k"], call.options["threshold"], call.options["rerank"]
    q, database = np.asarray(call.arguments["q"]), call.database()
    vectors = np.asarray(database.require("vectors")) if rerank else None
    if call.sizes["Q"] == 0 or call.sizes["N"] == 0:
        return empty_lists(call.sizes["Q"], k, np.float64 if rerank else np.int32)
    answer = on_device(call.with_options(k=k * (rerank or 1), threshold=None, rerank=None))
    if threshold is None and rerank is None:
        return answer
    start = time.perf_counter()
    values = refine(answer.values, q, k, threshold=threshold, vectors=vectors)
    metrics = {**answer.metrics, "refine_seconds": time.perf_counter() - start}
    return Answer(values, answer.path, metrics, answer.state)
