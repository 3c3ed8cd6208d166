"""Quantising floats to nits beside NumPy's tanh, FAISS's 4-bit encoder and a copy of the same bytes.

Run with ``ninefold bench quantise``.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS

from .devices import opened
from .limits import limited
from .timing import Times, interleaved

__all__ = ["quantise"]

#: Rows, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (64, 3), "small": (10_000, 41), "large": (100_000, 41)}
_DIMENSIONS, _SCALE, _SEED, _BUDGET_S = 384, 9.8, 9, 10.0
_TANH, _ENCODER, _COPY = "numpy tanh", "faiss SQ4 encoder", "numpy copy"
#: Most of each peer's time, and least of a copy's rate.
_TARGETS: Final = {_TANH: "<= 0.15", _ENCODER: "<= 0.5", _COPY: ">= 0.6"}


def _measure(request: Request) -> list[Figure]:
    rows, repetitions = _PLANS[request.size]
    x = np.random.default_rng(_SEED).standard_normal((rows, _DIMENSIONS), np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    call = OPERATORS["quantise"].bind({"x": x}, {"scale": _SCALE, "mode": "tanh"})
    with limited(request), opened(request) as devices, ThreadPoolExecutor(request.threads) as pool:
        answers = {name: device.run(call).values["nits"] for name, device in devices.items()}
        first, *others = answers
        for name in others:
            if not np.array_equal(answers[name], answers[first]):
                raise DeviceError(f"{name} and {first} quantise differently")
        contenders: dict[str, Callable[[], Any]] = {
            name: functools.partial(device.run, call) for name, device in devices.items()
        }
        contenders[_TANH] = lambda: np.rint(4 * np.tanh(x * np.float32(_SCALE))).astype(np.int8)
        if importlib.util.find_spec("faiss") is None:
            request.note("quantise: FAISS's encoder is skipped: faiss-cpu is not installed")
        else:
            contenders[_ENCODER] = _faiss(x, request.threads)
        contenders[_COPY] = _copier(x, pool, request.threads)
        times = interleaved(contenders, repetitions, _BUDGET_S)
    # At the smallest size the cost of a call is all that is measured.
    return _figures(times, tuple(devices), x, {} if request.size == "tiny" else _TARGETS)


def _figures(
    times: Times, devices: tuple[str, ...], x: np.ndarray[Any, np.dtype[np.float32]], targets: Mapping[str, str]
) -> list[Figure]:
    """Return the times beside each peer, and the bytes moved beside a copy."""
    parameters: dict[str, Parameter] = {"rows": len(x), "dimensions": x.shape[1]}
    task = f"quantise {len(x):,} x {x.shape[1]}"
    figures = []
    for name in devices:
        for peer in (_TANH, _ENCODER):
            if peer in times.seconds:
                target = targets.get(peer, "") if name == "cpu" else ""
                quantity = "time" if peer == _TANH else f"time beside {peer}"
                figures.append(
                    times.figure("quantise", name, parameters, quantity=quantity, beside=peer, target=target, task=task)
                )
        figures.append(_moved(times, name, x, parameters, task, targets.get(_COPY, "") if name == "cpu" else ""))
    figures += [times.figure("quantise", peer, parameters, better="") for peer in _TARGETS if peer in times.seconds]
    return figures


def _moved(
    times: Times,
    name: str,
    x: np.ndarray[Any, np.dtype[np.float32]],
    parameters: Mapping[str, Parameter],
    task: str,
    target: str,
) -> Figure:
    """Return the bytes read and written a second beside a copy, which reads and writes four bytes a number."""
    rates = [(x.nbytes + x.size) / seconds / 1e9 for seconds in times.seconds[name]]
    copies = [2 * x.nbytes / seconds / 1e9 for seconds in times.seconds[_COPY]]
    return Figure.timed(
        "quantise",
        name,
        "bytes moved a second",
        rates,
        "GB/s",
        parameters=parameters,
        better="more",
        beside=_COPY,
        ratio=summary(rates)[0] / summary(copies)[0],
        ratio_spread=summary([a / b for a, b in zip(rates, copies, strict=True)])[1],
        target=target,
        detail="floats in, int8 out",
        task=f"{task}, bytes a second",
    )


def _copier(x: np.ndarray[Any, np.dtype[np.float32]], pool: ThreadPoolExecutor, threads: int) -> Callable[[], Any]:
    """Return a function that copies the floats with all threads."""
    target = np.empty_like(x)
    parts = [slice(len(x) * i // threads, len(x) * (i + 1) // threads) for i in range(threads)]
    return lambda: list(pool.map(lambda part: np.copyto(target[part], x[part]), parts))


def _faiss(x: np.ndarray[Any, np.dtype[np.float32]], threads: int) -> Callable[[], Any]:
    import faiss

    faiss.omp_set_num_threads(threads)
    encoder = faiss.IndexScalarQuantizer(x.shape[1], faiss.ScalarQuantizer.QT_4bit, faiss.METRIC_INNER_PRODUCT)
    encoder.train(x)
    return lambda: encoder.sa_encode(x)


#: Suite that measures the operator ``quantise``.
quantise = Benchmark(_measure, backends=("*",))
