"""Cases of ``similarity6d``: drawn records, and pairs at the ends of each part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.vector6d import Vector6DColumns
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from ninefold.spec.vector6d import LINKS

__all__ = ["cases", "drawn", "of"]

Columns = dict[str, npt.NDArray[Any]]


def drawn(rng: np.random.Generator, rows: int) -> Columns:
    """Return records as they occur: embeddings around three topics, times within an hour, few causes and intents."""
    topics = rng.normal(0, 1, (3, 512))
    arrays: Columns = {name: array.copy() for name, array in Vector6DColumns.zeros(rows).arrays.items()}
    arrays["embedding"][:] = topics[rng.integers(0, 3, rows)] + rng.normal(0, 1, (rows, 512))
    arrays["timestamp"][:] = 1_700_000_000_000_000 + rng.integers(0, 3_600_000_000, rows)
    arrays["horizon"][:] = rng.choice([-5.0, 0.0, 299.75, 300.25, 1000.0, 30000.0], rows)
    arrays["modality"][:] = rng.integers(0, 256, rows) & rng.integers(0, 256, rows)
    arrays["intent"][:] = rng.normal(0, 3, (rows, 256))
    arrays["intent"][np.arange(rows), rng.integers(0, 4, rows)] += 8
    arrays["confidence"][:] = rng.uniform(0, 1, rows)
    arrays["links"][:] = rng.integers(0, LINKS + 1, rows)
    hashes = rng.choice([0, 1, 63, 64, 127, 128, 200, 255], (rows, LINKS))
    arrays["link_hash"][:] = np.where(np.arange(LINKS) < arrays["links"][:, None], hashes, 0)
    return arrays


def of(rows: int, **columns: Any) -> Columns:
    """Return records of zeros, except in some columns."""
    arrays: Columns = {name: array.copy() for name, array in Vector6DColumns.zeros(rows).arrays.items()}
    for name, values in columns.items():
        arrays[name][:] = values
    return arrays


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    def call(a: Columns, b: Columns) -> Call:
        return OPERATORS["similarity6d"].bind({"a": a, "b": b})

    def paired(a: Columns) -> Call:
        return call(a, a)

    a, b = drawn(rng, 6), drawn(rng, 67)
    yield "drawn", call(a, b)
    yield "every second", call({n: x[::2] for n, x in a.items()}, {n: x[::-2] for n, x in b.items()})
    yield "one pair", call(drawn(rng, 1), drawn(rng, 1))
    yield "no queries", call({n: x[:0] for n, x in a.items()}, b)
    yield "no records", call(a, {n: x[:0] for n, x in b.items()})
    yield "zeros", paired(of(2))
    signs = rng.choice([-1.0, 1.0], (6, 512))
    sizes = np.array([2.0**-24, 6e-8, 6.1e-5, 1.0, 65504.0, 0.0])[:, None]
    yield "ends of the embeddings", paired(of(6, embedding=np.tile(signs[:1], (6, 1)) * sizes))
    yield "opposite embeddings", call(of(1, embedding=signs[:1]), of(2, embedding=-signs[:1], confidence=[1, 9]))
    one = np.zeros((4, 512))
    one[[0, 1, 2, 3], [0, 0, 511, 511]] = 1, -1, 2.0**-24, 65504
    yield "one number each", paired(of(4, embedding=one))
    last = 2**64 - 1
    times = [0, 1, 300_000_000, 2**53 + 1, 2**63, last - 1, last]
    yield "ends of the times", paired(of(7, timestamp=np.array(times, np.uint64)))
    horizons = [-65504, -0.0, 2.0**-24, 300, 300.25, 65504]
    yield "ends of the horizons", paired(of(6, horizon=horizons, timestamp=np.arange(6) * 100_000_000))
    yield "modalities", paired(of(10, modality=[0, 1, 2, 3, 4, 8, 127, 128, 254, 255]))
    logits = np.zeros((6, 256))
    logits[1], logits[2], logits[3, 7], logits[4, 255], logits[5] = (
        65504,
        -65504,
        65504,
        -65504,
        np.linspace(-87, 87, 256),
    )
    yield "ends of the intents", paired(of(6, intent=logits))
    yield "confidences", paired(of(6, confidence=[0, 1, -1, 0.5, 65504, -65504]))
    hashes = np.zeros((7, LINKS))
    hashes[1, 0], hashes[2, :2], hashes[3], hashes[4], hashes[5], hashes[6] = (
        255,
        [7, 7],
        7,
        [0, 63, 64, 127, 128, 191, 192, 255],
        range(8),
        range(4, 12),
    )
    yield "causes", paired(of(7, links=[0, 1, 2, 8, 8, 8, 8], link_hash=hashes))
    free = {
        name: np.full(2, np.nan) for name in ("calibration", "momentum", "modality_confidence", "intent_confidence")
    }
    yield "floats that are not scored", paired(of(2, **free))
