"""Golden model of ``search6d``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call

from .mine import mine
from .packed import unpack
from .similarity6d import similarity6d

__all__ = ["run"]


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    database, q, k, allowed = call.database(), call.arguments["q"], call.options["k"], call.arguments["allowed"]
    nits = unpack(np.asarray(database.require("nits")), 512)
    scale, mode = float(database.attributes["scale"]), database.attributes["mode"]
    rows = [row for row in range(call.sizes["N"]) if allowed is None or allowed[row // 8] >> row % 8 & 1]
    queries, among = _units(q["embedding"]), [rows] * call.sizes["Q"]
    found = mine(queries, nits, scale, mode, 4 * k, among=among)  # type: ignore[arg-type]
    ids = np.full((len(found), k), NO_ID, np.int64)
    scores = np.full((len(found), k), -np.inf, np.float32)
    for query, near in enumerate(found):
        scored = [(np.float32(similarity6d(_row(q, query), _row(database.arrays, row))), row) for row, _ in near]
        for slot, (score, row) in enumerate(sorted(scored, key=lambda hit: (-hit[0], hit[1]))[:k]):
            ids[query, slot], scores[query, slot] = row, score
    return {"ids": ids, "scores": scores, "count": np.array([min(k, len(near)) for near in found], np.int64)}


def _units(embeddings: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    wide = embeddings.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return (wide / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def _row(columns: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {name: column[row] for name, column in columns.items() if name != "nits"}
