"""Speed of RTL simulation through whole calls from Python, beside a bare C++ loop around the same model.

Run with ``ninefold bench sim``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final

import numpy as np

from ninefold.sim.bench.loop import bare_loop
from ninefold.sim.rtl.device import Rtl
from ninefold.sim.verilated import Model, Run, design, find_tools
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run

__all__ = ["simulation"]

#: Scores, rows of the database, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (2000, 100, 3),
    "small": (1_000_000, 6000, 7),
    "large": (4_000_000, 8192, 15),
}
_DIMENSIONS, _QUERIES, _K = 384, 3, 10
_TOPK: Final = 8
_OURS, _LOOP = "rtl", "bare C++ loop"
#: Least share of the loop's rate.
_TARGET = ">= 0.5"


def _measure(request: Request) -> list[Figure]:
    """Measure the top-k core through the library call, and `mine` on the whole pipeline."""
    scores, rows, repetitions = _PLANS[request.size]
    # A few scores measure the cost of a call.
    target = "" if request.size == "tiny" else _TARGET
    return [*_topk(scores, repetitions, target), *_mine(rows, repetitions)]


def _topk(count: int, repetitions: int, target: str) -> list[Figure]:
    """Time the top-k core from arrays to arrays, packing and unpacking included, beside a bare C++ loop.

    The loop drives the same Verilog, compiled with the same options, with beats that are packed already.
    """
    made = design("topk", {"k": _TOPK, "score_width": 16, "id_width": 10})
    model = Model(made)
    results = model.streams["results"]
    loop = bare_loop(made, results.beat_bytes)
    scores = np.random.default_rng(1).integers(-(2**15), 2**15, count).astype(np.int16)
    last = np.zeros(count, np.uint8)
    last[-1] = 1
    fields = {"score": scores, "id": (np.arange(count) % 1024).astype(np.uint16), "last": last}
    beats = model.streams["scores"].pack(count, fields)

    def through_python() -> Run:
        run = model.run({"scores": model.streams["scores"].pack(count, fields)}, {"results": _TOPK})
        results.unpack(run.outputs["results"])
        return run

    run, (found, cycles) = through_python(), loop(beats, _TOPK)
    if not np.array_equal(found, run.outputs["results"]) or cycles != run.cycles:
        raise DeviceError(f"the model and the bare loop differ: {run.cycles} and {cycles} cycles for {count} scores")
    contenders: dict[str, Callable[[], object]] = {_OURS: through_python, _LOOP: lambda: loop(beats, _TOPK)}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            started = perf_counter()
            contender()
            rates[name].append(count / (perf_counter() - started) / 1e6)
    model.close()
    sizes: dict[str, Parameter] = {"k": _TOPK, "scores": count}
    return [
        Figure.timed(
            "topk",
            _OURS,
            "scores accepted",
            rates[_OURS],
            "million/s",
            parameters=sizes,
            better="more",
            beside=_LOOP,
            ratio=summary(rates[_OURS])[0] / summary(rates[_LOOP])[0],
            ratio_spread=summary([a / b for a, b in zip(rates[_OURS], rates[_LOOP], strict=True)])[1],
            target=target,
            detail=f"{run.cycles:,} cycles",
            task="RTL simulation of top-k, scores a second",
        ),
        Figure.timed("topk", _LOOP, "scores accepted", rates[_LOOP], "million/s", parameters=sizes),
    ]


def _mine(rows: int, repetitions: int) -> list[Figure]:
    """Time `mine` on a pipeline that holds its database in its store."""
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
    load_and_run(device, call)  # compiles the pipeline if needed, and fills the store
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
    """Return all bytes that hold two nits."""
    nibbles = np.arange(-4, 5).astype(np.uint8) & 15
    return (nibbles[:, None] | nibbles[None, :] << 4).astype(np.uint8).reshape(-1)


#: Suite that measures the verilated cores.
simulation = Benchmark(_measure, find_tools)
