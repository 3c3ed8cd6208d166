"""Cases of ``candidates``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import F32, calibrated, clustered, database, mask, nits, real_embeddings

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    operator = OPERATORS["candidates"]
    real = real_embeddings()
    yield "embeddings", operator.bind({"q": real[::9], "database": calibrated(real, "tanh")}, {"keep": 40})
    q = rng.normal(0, 2, (5, 24)).astype(F32)
    tied = database(nits(rng, 300, 24, low=-1, high=1), 1.0, "linear")
    for keep in (1, 7, 64, 320):
        yield f"ties, keep = {keep}", operator.bind({"q": q, "database": tied}, {"keep": keep})
    for rows, dimensions in ((1, 1), (63, 7), (64, 8), (65, 9), (130, 33)):
        wide = rng.normal(0, 2, (3, dimensions)).astype(F32)
        some = database(nits(rng, rows, dimensions), 1.0, "linear")
        yield f"{rows} rows of {dimensions}", operator.bind({"q": wide, "database": some}, {"keep": 20})
    largest = np.full((2, 1024), np.inf, F32)
    largest[1] *= -1
    extreme = database(np.stack([np.full(1024, 4), np.full(1024, -4), np.zeros(1024)]).astype(np.int8), 1.0, "linear")
    yield "largest scores", operator.bind({"q": largest, "database": extreme}, {"keep": 2})
    zeros = database(np.zeros((70, 12), np.int8), 1.0, "linear")
    yield "all equal", operator.bind({"q": q[:, :12], "database": zeros}, {"keep": 9})
    for share in (0.0, 0.05, 0.6, 1.0):
        allowed = mask(rng, 300, share)
        yield f"{share:.0%} allowed", operator.bind({"q": q, "database": tied, "allowed": allowed}, {"keep": 30})
    lists = clustered(rng, nits(rng, 300, 24))
    yield "a clustered database", operator.bind({"q": q, "database": lists}, {"keep": 25})
    for macro, micro in ((1, 1), (3, 2), (64, 16)):
        chosen = {"keep": 25, "macro": macro, "micro": micro}
        yield f"{macro} clusters, {micro} lists", operator.bind({"q": q, "database": lists}, chosen)
        both = {"q": q, "database": lists, "allowed": mask(rng, 300, 0.5)}
        yield f"{macro} clusters, {micro} lists, half allowed", operator.bind(both, chosen)
    yield "no queries", operator.bind({"q": q[:0], "database": tied}, {"keep": 5})
