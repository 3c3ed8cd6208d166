"""Embedding of texts from Python's standard library, one at a time and together.

Run with ``ninefold bench embed``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ninefold.host.embedding import Embedder, find_model
from ninefold.host.index import Index
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError

__all__ = ["embed"]

#: Texts a call, repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (4, 3), "small": (256, 5), "large": (2048, 5)}
_SEED = 9
_TEXT = "copy a file and keep its timestamps"
#: Least cosine of two vectors of one text, which differ only by float32 rounding.
_COSINE = 0.9999
#: Largest difference to the float16 vectors of the index.
_HALF = 2e-3


def _measure(request: Request) -> list[Figure]:
    count, repetitions = _PLANS[request.size]
    embedder = Embedder(threads=request.threads)
    texts, name, known = _texts(request, count)
    count = len(texts)
    vectors = embedder.embed(texts)
    alone = [embedder.embed([text])[0] for text in texts[:4]]
    agreement = min(float(a @ b) for a, b in zip(alone, vectors, strict=False))
    if agreement < _COSINE:
        raise DeviceError(
            f"a text embedded alone has a cosine of {agreement:.5f} to the same text in a batch of {count}"
        )
    if known is not None and np.abs(known - vectors).max() > _HALF:
        request.note("embed: the vectors in the index differ from these, so another model made them")
    latency, rates = [], []
    tokens = sum(len(sequence) for sequence in embedder.tokenise(texts))
    for _ in range(repetitions):
        start = time.perf_counter()
        embedder.embed(texts[:1])
        middle = time.perf_counter()
        embedder.embed(texts)
        rates.append(count / (time.perf_counter() - middle))
        latency.append((middle - start) * 1e3)
    several: dict[str, Parameter] = {"texts": count, "data": name}
    return [
        Figure.timed("embed", "cpu", "time", latency, "ms", parameters={"texts": 1, "data": name}, better="less"),
        Figure.timed(
            "embed",
            "cpu",
            "texts a second",
            rates,
            "1/s",
            parameters=several,
            better="more",
            detail=f"{tokens / count:.1f} tokens a text",
        ),
        Figure("embed", "cpu", "least cosine, alone to together", agreement, "", several, target=f">= {_COSINE}"),
    ]


def _texts(request: Request, count: int) -> tuple[list[str], str, np.ndarray[Any, np.dtype[np.float32]] | None]:
    """Return texts, their name, and their vectors in the index (None without an index)."""
    name = f"stdlib-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        index = Index.open(name)
        rows = np.random.default_rng(_SEED).choice(len(index), min(count, len(index)), replace=False)
    except (InputError, DamagedDataError) as error:
        request.note(f"embed: the texts are one numbered sentence: {error}; run ninefold demo")
        return [f"{_TEXT}, part {i}" for i in range(count)], "one sentence, numbered", None
    texts = [index.entry(int(row)).sentence for row in rows]
    try:
        return texts, f"{name}, real", index.vectors[rows].astype(np.float32)
    except InputError:  # the index has no vectors
        return texts, f"{name}, real", None


#: Suite that measures the sentence model.
embed = Benchmark(_measure, find_model)
