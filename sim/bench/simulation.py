"""Clock cycles simulated a second, through whole calls from Python.

Run with ``ninefold bench sim``.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

import numpy as np

from ninefold.sim.rtl.device import Rtl
from ninefold.sim.verilated import Model, design, find_tools
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.data import Answer, Database
from ninefold.spec.operators import OPERATORS

__all__ = ["simulation"]

#: Scores, rows of the database, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (2000, 100, 3),
    "small": (1_000_000, 6000, 7),
    "large": (4_000_000, 8192, 15),
}
_DIMENSIONS, _QUERIES, _K = 384, 3, 10


def _measure(request: Request) -> list[Figure]:
    """Measure the top-k core through the library call, and `mine` on the whole pipeline."""
    scores, rows, repetitions = _PLANS[request.size]
    return [_topk(scores, repetitions), *_mine(rows, repetitions)]


def _topk(count: int, repetitions: int) -> Figure:
    """Arrays of scores in, arrays of results out: packing, simulation and unpacking are all timed."""
    model = Model(design("topk", {"k": 8, "score_width": 16, "id_width": 10}))
    scores = np.random.default_rng(1).integers(-(2**15), 2**15, count).astype(np.int16)
    ids = (np.arange(count) % 1024).astype(np.uint16)
    last = np.zeros(count, np.uint8)
    last[-1] = 1
    rates = []
    for _ in range(repetitions):
        started = perf_counter()
        beats = model.streams["scores"].pack(count, {"score": scores, "id": ids, "last": last})
        run = model.run({"scores": beats}, {"results": 8})
        model.streams["results"].unpack(run.outputs["results"])
        rates.append(count / (perf_counter() - started) / 1e6)
    model.close()
    return Figure.timed(
        "topk",
        "rtl",
        "scores accepted",
        rates,
        "million/s",
        parameters={"k": 8, "scores": count},
        better="more",
        target=">= 5" if count >= 1_000_000 else "",
        detail=f"{run.cycles:,} cycles",
    )


def _mine(rows: int, repetitions: int) -> list[Figure]:
    """Ask a pipeline that has its database in the store."""
    rng = np.random.default_rng(2)
    packed = np.ascontiguousarray(rng.choice(_packed_bytes(), (rows, _DIMENSIONS // 2)))
    attributes: dict[str, int | float | str] = {
        "rows": rows,
        "dimensions": _DIMENSIONS,
        "scale": 1.0,
        "mode": "tanh",
    }
    arguments = {
        "q": rng.normal(0, 0.7, (_QUERIES, _DIMENSIONS)).astype(np.float32),
        "database": Database({"nits": packed}, attributes),
    }
    call = OPERATORS["mine"].bind(arguments, {"k": _K})
    device = Rtl().open()
    device.run(call)  # compiles the pipeline where it must, and fills the store
    answers: list[Answer] = [device.run(call) for _ in range(repetitions)]
    device.close()
    cycles = answers[0].metrics["cycles"]
    sizes: dict[str, Parameter] = {"rows": rows, "dimensions": _DIMENSIONS, "k": _K, "queries": _QUERIES}
    rates = [cycles / answer.metrics["seconds"] / 1e6 for answer in answers]
    rest: dict[str, Any] = {"parameters": sizes, "detail": "the database is in the store"}
    return [
        Figure.timed("pipeline", "rtl", "cycles simulated", rates, "million/s", better="more", **rest),
        Figure("pipeline", "rtl", "cycles a query", cycles / _QUERIES, "cycles", kind="exact", better="less", **rest),
    ]


def _packed_bytes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return every byte that holds two nits."""
    nibbles = np.arange(-4, 5).astype(np.uint8) & 15
    return (nibbles[:, None] | nibbles[None, :] << 4).astype(np.uint8).reshape(-1)


#: Measures the verilated cores.
simulation = Benchmark(_measure, find_tools)
