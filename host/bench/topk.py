"""Top-k of many scores beside NumPy's partition, which breaks ties arbitrarily, and NumPy's stable sort.

Run with ``ninefold bench topk``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from ninefold.spec.benchmark import Benchmark, Figure, Request, Size
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS

from .devices import opened
from .limits import limited
from .timing import interleaved

__all__ = ["topk"]

#: Scores a query, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (500, 3), "small": (262_144, 41), "large": (1_000_000, 41)}
_QUERIES, _KS, _SEED, _BUDGET_S = 4, (8, 64), 9, 10.0
#: Standard deviation of dot products of 384 nits. Many of these scores are equal, so ties matter.
_SIGMA = 120
_PARTITION, _SORT = "numpy partition", "numpy stable sort"
#: Most of the partition's time.
_TARGET = "<= 0.4"


def _measure(request: Request) -> list[Figure]:
    count, repetitions = _PLANS[request.size]
    rng = np.random.default_rng(_SEED)
    scores = np.rint(rng.normal(0, _SIGMA, (_QUERIES, count))).astype(np.int32)
    ids = np.arange(count, dtype=np.int64)
    figures: list[Figure] = []
    with limited(request), opened(request) as devices:
        for k in _KS:
            call = OPERATORS["topk"].bind({"scores": scores, "ids": ids}, {"k": k})
            wanted = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            for name, device in devices.items():
                if not np.array_equal(device.run(call).values["ids"], wanted):
                    raise DeviceError(f"{name} differs from a stable sort of {count:,} scores for k = {k}")
            contenders: dict[str, Callable[[], Any]] = {
                name: functools.partial(device.run, call) for name, device in devices.items()
            }
            contenders[_PARTITION] = functools.partial(_partition, scores, k)
            contenders[_SORT] = functools.partial(_sort, scores, k)
            times = interleaved(contenders, repetitions, _BUDGET_S)
            parameters: dict[str, int | float | str] = {"scores": count, "queries": _QUERIES, "k": k}
            task = f"top-k of {_QUERIES} x {count:,}, k = {k}"
            for name in devices:
                target = _TARGET if name == "cpu" and request.size != "tiny" else ""
                figures.append(times.figure("topk", name, parameters, beside=_PARTITION, target=target, task=task))
            figures += [times.figure("topk", name, parameters, better="") for name in (_PARTITION, _SORT)]
    return figures


def _partition(scores: np.ndarray[Any, np.dtype[np.int32]], k: int) -> Any:
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)


def _sort(scores: np.ndarray[Any, np.dtype[np.int32]], k: int) -> Any:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


#: Suite that measures the operator ``topk``.
topk = Benchmark(_measure, backends=("*",))
