"""Benchmarks of the RTL backend: clock cycles simulated a second, through whole calls from Python."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np

from ninefold.sim.rtl.device import Rtl
from ninefold.sim.verilated import Model, design, find_tools
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.data import Answer, Database
from ninefold.spec.operators import OPERATORS

__all__ = ["rtl"]

_REPETITIONS = 7
_SCORES = 1_000_000
_ROWS, _DIMENSIONS, _QUERIES, _K = 6000, 384, 3, 10


def _measure() -> list[Row]:
    """Measure the top-k core through the library call, and `mine` on the whole pipeline; medians over repetitions."""
    return [_topk(), *_mine()]


rtl = Benchmark(_measure, find_tools)


def _topk() -> Row:
    """Arrays of scores in, arrays of results out: packing, simulation and unpacking are all timed."""
    model = Model(design("topk", {"k": 8, "score_width": 16, "id_width": 10}))
    scores = np.random.default_rng(1).integers(-(2**15), 2**15, _SCORES).astype(np.int16)
    ids = (np.arange(_SCORES) % 1024).astype(np.uint16)
    last = np.zeros(_SCORES, np.uint8)
    last[-1] = 1
    rates = []
    for _ in range(_REPETITIONS):
        started = perf_counter()
        beats = model.streams["scores"].pack(_SCORES, {"score": scores, "id": ids, "last": last})
        run = model.run({"scores": beats}, {"results": 8})
        model.streams["results"].unpack(run.outputs["results"])
        rates.append(_SCORES / (perf_counter() - started) / 1e6)
    model.close()
    detail = f"{_SCORES} scores in {run.cycles} cycles; slowest {min(rates):.1f}, fastest {max(rates):.1f}"
    return Row("top-k core, k = 8, accepted scores", median(rates), "million/s", ">= 5", detail=detail)


def _mine() -> list[Row]:
    """Ask a pipeline that has its database in the store."""
    rng = np.random.default_rng(2)
    packed = np.ascontiguousarray(rng.choice(_packed_bytes(), (_ROWS, _DIMENSIONS // 2)))
    attributes: dict[str, int | float | str] = {
        "rows": _ROWS,
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
    answers: list[Answer] = [device.run(call) for _ in range(_REPETITIONS)]
    device.close()
    seconds = median(answer.metrics["seconds"] for answer in answers)
    cycles = answers[0].metrics["cycles"]
    name = f"pipeline, {_ROWS} x {_DIMENSIONS}, k = {_K}, {_QUERIES} queries"
    return [
        Row(f"{name}: simulation", cycles / seconds / 1e6, "million cycles/s", detail=f"{seconds:.3f} s a call"),
        Row(f"{name}: cycles a query", cycles / _QUERIES, "cycles", detail="the database is in the store"),
    ]


def _packed_bytes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return every byte that holds two nits."""
    nibbles = np.arange(-4, 5).astype(np.uint8) & 15
    return (nibbles[:, None] | nibbles[None, :] << 4).astype(np.uint8).reshape(-1)
