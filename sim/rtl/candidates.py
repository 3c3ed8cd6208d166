"""``candidates`` on two cores: the sign engine with its store, and the selection by a threshold."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.nits import pack
from ninefold.numerics.ranked import empty, merged
from ninefold.numerics.stages import quantised
from ninefold.sim.rtl.device import RtlDevice
from ninefold.sim.rtl.words import DEPTH, LANES, check_last, ends, fitting, nit_words
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.formats import CANDIDATES_MAX
from ninefold.spec.signature import Call

__all__ = ["RATING", "load", "run", "scanned"]

RATING = 1
#: Dimensions looked up per cycle.
_LOOKED_UP = 64
#: Scans of each query: the selection needs two.
_PASSES = 2

_Bools = npt.NDArray[np.bool_]


def load(device: RtlDevice, database: Database) -> None:  # noqa: ARG001 - a call loads the store page by page
    """Check a database."""
    checked_nits(database)


def run(device: RtlDevice, call: Call) -> Answer:
    """Scan each page of the database for all queries, and merge the candidates of the pages.

    Raises
    ------
    UnsupportedError
        The call chooses clusters.
    """
    started = perf_counter()
    values, cycles = scanned(device, call)
    path = f"{device.path}, quantised, masked and merged on the host"
    return Answer(values, path, {"cycles": cycles, "seconds": perf_counter() - started})


def scanned(device: RtlDevice, call: Call) -> tuple[dict[str, npt.NDArray[Any]], int]:
    """Return the values of a call of ``candidates``, and the number of cycles."""
    if call.options["macro"] is not None:
        raise UnsupportedError(f"{device.name} scans all rows of its store, without macro and micro: no core routes")
    queries, keep, rows = quantised(call), call.options["keep"], call.sizes["N"]
    allowed = np.ones(rows, np.bool_)
    if (mask := call.arguments["allowed"]) is not None:
        allowed = np.unpackbits(np.asarray(mask), count=rows, bitorder="little").view(np.bool_)
    ids, scores = empty(len(queries), keep, np.int32)
    number = min(keep, int(allowed.sum())) if len(queries) else 0
    found, cycles = [], 0
    if number:
        packed = np.asarray(call.database().require("nits"))
        for start in range(0, rows, DEPTH):
            page = slice(start, start + DEPTH)
            if allowed[page].any():
                page_ids, page_scores, used = _scan(device, queries, packed[page], allowed[page], keep)
                found.append((page_ids + start, page_scores))
                cycles += used
        every_id, every_score = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        ids[:, :number], scores[:, :number] = merged(every_id, every_score, number)
    count = np.full(len(queries), number, np.int64)
    return {"ids": ids, "scores": scores, "count": count}, cycles


def _scan(
    device: RtlDevice, queries: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], allowed: _Bools, keep: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return ids and scores of the candidates of a page, each (queries, candidates), and the number of cycles."""
    width, rows = fitting(queries.shape[1]), len(packed)
    engine = device.model("sign_engine", dimensions=width, lanes=_LOOKED_UP, depth=DEPTH, width=LANES, passes=_PASSES)
    words = nit_words(packed, width)
    load = engine.streams["load"].pack(len(words), {"nits": words, "last": ends(len(words), len(words))})
    loading = device.simulate(engine, {"load": load}, {}, patience=10_000).cycles
    words = nit_words(pack(queries), width)
    query = engine.streams["query"].pack(len(words), {"nits": words, "last": ends(len(words), width // LANES)})
    # No word of a query need move while earlier ones are scanned.
    patience = 10_000 + 2 * _PASSES * rows * width // _LOOKED_UP
    scan = device.simulate(engine, {"query": query}, {"scores": len(queries) * _PASSES * rows}, patience)
    coarse = engine.streams["scores"].unpack(scan.outputs["scores"])
    check_last("scores", coarse["last"], rows)
    coarse["valid"] &= np.tile(allowed, len(queries) * _PASSES)
    ids, scores, selecting = _select(device, width, coarse, len(queries), min(keep, int(allowed.sum())))
    return ids, scores, loading + scan.cycles + selecting


def _select(
    device: RtlDevice, width: int, coarse: dict[str, npt.NDArray[np.int64]], queries: int, number: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return ids and scores of the best `number` rows of each query, and the number of cycles."""
    select = device.model("threshold_select", dimensions=width, keep=CANDIDATES_MAX, rows=1, depth=DEPTH)
    inputs = {
        "scores": select.streams["scores"].pack(len(coarse["word"]), coarse),
        "limit": select.streams["limit"].pack(queries, {"rows": np.full(queries, number)}),
    }
    # After a reset and between two scans, the core looks at all counts.
    patience = 10_000 + 8 * width + len(coarse["word"])
    done = device.simulate(select, inputs, {"results": queries * number}, patience)
    found = select.streams["results"].unpack(done.outputs["results"])
    check_last("results", found["last"], number)
    return found["id"].reshape(queries, number), found["score"].reshape(queries, number), done.cycles
