"""``similarity6d`` on OpenCL."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.rows import take
from ninefold.numerics.similarity6d import Traits, traits_of
from ninefold.spec.context import FADE_S, WEIGHTS, WITHOUT_LINKS
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call
from ninefold.spec.vector6d import EMBEDDING, INTENTS

from .memory import Out

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "compared", "run"]

#: The host forms the traits of all records, which takes about as long as to compare them with a few queries.
RATING = {"gpu": 5, "npu": 3, "cpu": 2}

#: Queries and records in one launch.
_QUERIES, _ROWS = 1024, 4096


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Compare each query with each record."""
    a, b = call.arguments["a"], call.arguments["b"]
    with device.timed() as metrics:
        found = compared(device, a, b)
    return Answer({"similarity": found}, f"one pair a work-item on {device.entry.name}", metrics)


def compared(
    device: "OpenClDevice", a: Mapping[str, npt.NDArray[Any]], b: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.float32]:
    """Return the similarities of Q and of N records, given as columns: float32 (Q, N)."""
    queries, rows = len(a["links"]), len(b["links"])
    found = np.empty((queries, rows), np.float32)
    of_queries = [_weighted(traits_of(take(a, slice(q, q + _QUERIES)))) for q in range(0, queries, _QUERIES)]
    kernel = device.launcher.kernel(("similarity6d.cl",), "similarity6d", WIDTH=EMBEDDING + INTENTS)
    weights = [WEIGHTS[name] for name in ("time", "modality", "links", "confidence")]
    constants = [np.float32(number) for number in (*weights, WITHOUT_LINKS, FADE_S)]
    for row in range(0, rows if queries else 0, _ROWS):
        some = traits_of(take(b, slice(row, row + _ROWS)))
        stored = [device.memory.put(array) for array in (some.vectors.T, *_others(some))]
        for number, traits in enumerate(of_queries):
            out = np.empty((len(traits), len(some)), np.float32)
            given = [traits.vectors, *_others(traits), *stored, *constants, np.uint64(len(some)), Out(out)]
            device.launcher.launch(kernel, out.shape[::-1], None, *given)
            found[number * _QUERIES : number * _QUERIES + len(traits), row : row + len(some)] = out
    return found


def _weighted(traits: Traits) -> Traits:
    """Return traits whose vectors have the weights of embedding and intent in them."""
    traits.vectors[:, :EMBEDDING] *= np.float32(WEIGHTS["embedding"])
    traits.vectors[:, EMBEDDING:] *= np.float32(WEIGHTS["intent"])
    return traits


def _others(traits: Traits) -> list[npt.NDArray[Any]]:
    """Return the arguments of the kernel after the vectors."""
    numbers = np.stack([traits.horizon, traits.confidence], axis=1)
    return [traits.timestamp, numbers, traits.modality, traits.causes]
