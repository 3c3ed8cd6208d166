"""``mine``: by nits on quantiser, similarity engine and top-k in one pipeline; by signs as ``candidates``."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.quantise import grid
from ninefold.numerics.ranked import empty, merged
from ninefold.numerics.stages import candidates_call, check_plain, quantised, rescored
from ninefold.sim.rtl.candidates import scanned
from ninefold.sim.rtl.device import RtlDevice, Store
from ninefold.sim.rtl.words import DEPTH, LANES, check_last, ends, fitting, grid_words, nit_words
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

__all__ = ["RATING", "load", "run"]

RATING = 1


def load(device: RtlDevice, database: Database) -> None:  # noqa: ARG001 - a query loads the store of its pipeline
    """Check a database."""
    checked_nits(database)


def run(device: RtlDevice, call: Call) -> Answer:
    """Answer a call by all nits, or by signs with the candidates scored again on the host.

    Raises
    ------
    UnsupportedError
        The call chooses clusters, or a scan of nits has a mask: the pipeline searches all rows of its store.
    """
    started = perf_counter()
    if call.options["scan"] == "signs":
        found, cycles = scanned(device, candidates_call(call))
        values = rescored(call, quantised(call), found)
        path = f"{device.path}, quantised, masked, merged and scored by nits on the host"
        return Answer(values, path, {"cycles": cycles, "seconds": perf_counter() - started})
    check_plain(call, device.name)
    return _by_nits(device, call, started)


def _by_nits(device: RtlDevice, call: Call, started: float) -> Answer:
    """Stream all queries through each page of the database, and merge the results of the pages."""
    database, k = call.database(), call.options["k"]
    q = np.asarray(call.arguments["q"])
    rows = call.sizes["N"]
    kept = min(rows, k)
    ids, scores = empty(len(q), k, np.int32)
    cycles = loading = 0
    if len(q) and rows:
        store = device.store(database, k)
        width = fitting(q.shape[1])
        words = grid_words(grid(q, float(database.attributes["scale"])), width)
        queries = store.model.streams["values"].pack(
            len(words), {"grid": words, "last": ends(len(words), width // LANES)}
        )
        found_ids, found_scores = [], []
        for page in range(-(-rows // DEPTH)):
            loading += _fill(device, store, database, page)
            page_ids, page_scores, used = _ask(device, store, queries, len(q), min(DEPTH, rows - page * DEPTH))
            found_ids.append(page_ids[:, :k] + page * DEPTH)
            found_scores.append(page_scores[:, :k])
            cycles += used
        found = np.concatenate(found_ids, axis=1), np.concatenate(found_scores, axis=1)
        ids[:, :kept], scores[:, :kept] = merged(*found, kept)
    values = {"ids": ids, "scores": scores, "count": np.full(len(q), kept, np.int64)}
    metrics = {"cycles": cycles + loading, "load_cycles": loading, "seconds": perf_counter() - started}
    return Answer(values, device.path, metrics)


def _fill(device: RtlDevice, store: Store, database: Database, page: int) -> int:
    """Load a page of the database unless it is in the store; return the number of cycles."""
    if store.holds == page:
        return 0
    packed = np.asarray(database.require("nits"))[page * DEPTH : (page + 1) * DEPTH]
    words = nit_words(packed, fitting(int(database.attributes["dimensions"])))
    beats = store.model.streams["load"].pack(len(words), {"nits": words, "last": ends(len(words), len(words))})
    store.holds = None
    cycles = device.simulate(store.model, {"load": beats}, {}, patience=10_000).cycles
    store.holds = page
    return cycles


def _ask(
    device: RtlDevice, store: Store, queries: npt.NDArray[np.uint8], count: int, rows: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return ids and scores for the page in the store, each (count, results per query), and the number of cycles."""
    model, page = store.model, store.holds
    batch = min(rows, store.k)
    # No beat moves on a stream while a query is scored against the whole page.
    patience = 10_000 + 4 * rows * -(-len(queries) // count)
    store.holds = None
    done = device.simulate(model, {"values": queries}, {"results": count * batch}, patience)
    store.holds = page
    found = model.streams["results"].unpack(done.outputs["results"])
    check_last("results", found["last"], batch)
    return found["id"].reshape(count, batch), found["score"].reshape(count, batch), done.cycles
