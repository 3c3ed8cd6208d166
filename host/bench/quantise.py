"""Floats to nits, beside the same by NumPy's tanh and FAISS's encoder for 4 bits.

Run with ``ninefold bench quantise``.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS

from .devices import opened
from .limits import limited
from .timing import interleaved

__all__ = ["quantise"]

#: Rows, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (64, 3), "small": (10_000, 41), "large": (100_000, 41)}
_DIMENSIONS, _SCALE, _SEED, _BUDGET_S = 384, 9.8, 9, 10.0
_PEER = "numpy tanh"


def _measure(request: Request) -> list[Figure]:
    rows, repetitions = _PLANS[request.size]
    x = np.random.default_rng(_SEED).standard_normal((rows, _DIMENSIONS), np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    call = OPERATORS["quantise"].bind({"x": x}, {"scale": _SCALE, "mode": "tanh"})
    with limited(request), opened(request) as devices:
        answers = {name: device.run(call).values["nits"] for name, device in devices.items()}
        first, *others = answers
        for name in others:
            if not np.array_equal(answers[name], answers[first]):
                raise DeviceError(f"{name} and {first} quantise differently")
        contenders: dict[str, Callable[[], Any]] = {
            name: functools.partial(device.run, call) for name, device in devices.items()
        }
        contenders[_PEER] = lambda: np.rint(4 * np.tanh(x * np.float32(_SCALE))).astype(np.int8)
        if importlib.util.find_spec("faiss") is None:
            request.note("quantise: FAISS's encoder is left out: faiss-cpu is not installed")
        else:
            contenders["faiss SQ4"] = _faiss(x, request.threads)
        times = interleaved(contenders, repetitions, _BUDGET_S)
        parameters: dict[str, Parameter] = {"rows": rows, "dimensions": _DIMENSIONS}
        figures = [times.figure("quantise", name, parameters, beside=_PEER) for name in devices]
        figures += [times.figure("quantise", _PEER, parameters, better="")]
        if "faiss SQ4" in contenders:
            figures.append(times.figure("quantise", "faiss SQ4", parameters, beside=_PEER, better=""))
        for name in devices:
            moved = x.nbytes + x.size
            rate = moved / times.median(name) / 1e9
            figures.append(
                Figure("quantise", name, "bytes moved a second", rate, "GB/s", parameters, detail="floats in, int8 out")
            )
    return figures


def _faiss(x: np.ndarray[Any, np.dtype[np.float32]], threads: int) -> Callable[[], Any]:
    import faiss

    faiss.omp_set_num_threads(threads)
    encoder = faiss.IndexScalarQuantizer(x.shape[1], faiss.ScalarQuantizer.QT_4bit, faiss.METRIC_INNER_PRODUCT)
    encoder.train(x)
    return lambda: encoder.sa_encode(x)


#: Measures the operator ``quantise``.
quantise = Benchmark(_measure, backends=("*",))
