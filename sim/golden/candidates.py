"""Golden model of ``candidates``."""

from typing import Any

import numpy as np

from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call

from .mine import coarse_score, eligible
from .packed import unpack
from .quantise import quantise

__all__ = ["run"]


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    database, keep = call.database(), call.options["keep"]
    nits = unpack(np.asarray(database.require("nits")), call.sizes["D"])
    queries = quantise(call.arguments["q"], float(database.attributes["scale"]), database.attributes["mode"])  # type: ignore[arg-type]
    ids = np.full((len(queries), keep), NO_ID, np.int64)
    scores = np.full((len(queries), keep), INT32_MIN, np.int32)
    count = np.zeros(len(queries), np.int64)
    for i, (query, rows) in enumerate(zip(queries, eligible(call), strict=True)):
        scored = sorted(((coarse_score(query, nits[row]), row) for row in rows), key=lambda pair: (-pair[0], pair[1]))
        count[i] = len(scored[:keep])
        for slot, (score, row) in enumerate(scored[:keep]):
            ids[i, slot], scores[i, slot] = row, score
    return {"ids": ids, "scores": scores, "count": count}
