"""Cases of ``search6d``: drawn records, equal ones, masks, and fewer records than results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ninefold.numerics.rows import join, take
from ninefold.numerics.search6d import record_database
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .similarity6d import Columns, drawn, of

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    def call(q: Columns, records: Columns, scale: float = 36.0, mode: Any = "linear", **others: Any) -> Call:
        allowed = others.pop("allowed", None)
        database = record_database(records, scale, mode)
        return OPERATORS["search6d"].bind({"q": q, "database": database, "allowed": allowed}, others)

    records = drawn(rng, 150)
    queries = drawn(rng, 3)
    yield "drawn", call(queries, records, k=5)
    yield "by tanh", call(queries, records, 11.0, "tanh", k=9)
    yield "itself", call(take(records, slice(2, 4)), records, k=1)
    yield "equal records", call(take(queries, slice(1)), join([take(records, slice(20))] * 4), k=12)
    yield "fewer records than results", call(queries, take(records, slice(7)), k=64)
    yield "some candidates", call(queries, take(records, slice(30)), k=10)
    mask = np.packbits(rng.random(150) < 0.2, bitorder="little")
    yield "a mask", call(queries, records, k=5, allowed=mask)
    yield "no row allowed", call(queries, records, allowed=0 * mask)
    yield "no queries", call({n: x[:0] for n, x in queries.items()}, records)
    yield "no records", call(queries, {n: x[:0] for n, x in records.items()})
    yield "zeros", call(of(1), of(20), k=3)
    # Opposite records, of which the nearest by embedding stand last, all have similarity 0.
    one = rng.normal(0, 1, (1, 512))
    opposite = of(
        24,
        embedding=np.linspace(0, 0.9, 24)[:, None] * rng.normal(0, 1, (24, 512)) - one,
        timestamp=2**62,
        confidence=9,
    )
    yield "similarities that are clipped", call(of(1, embedding=one), opposite, k=4)
    zero = {**take(queries, slice(1)), "embedding": np.zeros((1, 512), np.float16)}
    yield "a query without an embedding", call(zero, records, k=6)
