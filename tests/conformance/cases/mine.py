"""Cases of ``mine``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.formats import MODES
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, calibrated, clustered, database, mask, nits, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["mine"]
    real = real_embeddings()
    for mode in MODES:
        yield f"embeddings, {mode}", operator.bind({"q": real[::7], "database": calibrated(real, mode)}, {"k": 10})
    q = rng.normal(0, 1, (6, 24)).astype(F32)
    tied = database(nits(rng, 700, 24, low=0, high=1))
    for k in (1, 10, 64):
        yield f"ties, k = {k}", operator.bind({"q": q, "database": tied}, {"k": k})
    equal = database(np.ones((90, 24), np.int8), 1.0, "linear")
    yield "all equal", operator.bind({"q": q, "database": equal}, {"k": 16})
    yield "fewer rows than k", operator.bind({"q": q, "database": database(nits(rng, 3, 24))}, {"k": 10})
    yield (
        "negative scores",
        operator.bind({"q": np.abs(q), "database": database(-np.ones((40, 24), np.int8))}, {"k": 5}),
    )
    yield "odd dimensions", operator.bind({"q": q[:, :23], "database": database(nits(rng, 50, 23))}, {"k": 10})
    yield "one dimension", operator.bind({"q": q[:, :1], "database": database(nits(rng, 50, 1))}, {"k": 10})
    yield "infinities", operator.bind({"q": np.full((1, 24), np.inf, F32), "database": tied}, {"k": 10})
    rough = {"scan": "signs", "k": 4, "oversample": 3}
    yield "signs", operator.bind({"q": q, "database": tied}, rough)
    signed = database(nits(rng, 300, 24), 1.0, "linear")
    for oversample in (1, 64):
        yield f"signs, {oversample} x", operator.bind({"q": q, "database": signed}, {**rough, "oversample": oversample})
    real_search = {"q": real[::9], "database": calibrated(real, "tanh")}
    yield "signs of embeddings", operator.bind(real_search, {"scan": "signs", "k": 5, "oversample": 4})
    lists = clustered(rng, nits(rng, 300, 24))
    for share in (0.0, 0.02, 0.5):
        allowed = mask(rng, 300, share)
        yield f"{share:.0%} allowed", operator.bind({"q": q, "database": lists, "allowed": allowed}, {"k": 9})
        yield f"signs, {share:.0%} allowed", operator.bind({"q": q, "database": lists, "allowed": allowed}, rough)
    for macro, micro in ((1, 1), (5, 3), (64, 16)):
        chosen = {"macro": macro, "micro": micro}
        yield f"{macro} clusters, {micro} lists", operator.bind({"q": q, "database": lists}, {"k": 9, **chosen})
        yield f"signs, {macro} clusters, {micro} lists", operator.bind({"q": q, "database": lists}, {**rough, **chosen})
    yield "no queries", operator.bind({"q": q[:0], "database": tied}, {"k": 10})
