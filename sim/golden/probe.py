"""Golden model of ``probe``."""

from typing import Any

import numpy as np

from ninefold.spec.signature import Call

from .mine import best_lists
from .packed import unpack
from .quantise import quantise

__all__ = ["run"]


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    database, options = call.database(), call.options
    macro, micro = (unpack(np.asarray(database.require(name)), call.sizes["D"]) for name in ("macro", "micro"))
    queries = quantise(call.arguments["q"], float(database.attributes["scale"]), database.attributes["mode"])  # type: ignore[arg-type]
    number = options["macro"] * options["micro"]
    found = np.zeros((len(queries), number, 2), np.int64)
    for row, query in enumerate(queries):
        found[row] = best_lists(query, macro, micro, options["macro"], options["micro"])
    return {
        "ids": found[:, :, 0],
        "scores": found[:, :, 1].astype(np.int32),
        "count": np.full(len(queries), number, np.int64),
    }
