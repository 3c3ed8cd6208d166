"""Measurement of a board: queries per second, and the share of the link."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ninefold.drivers.board import Board
from ninefold.numerics.nits import pack
from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["Measured", "measure"]

_SEED = 11


@dataclass(frozen=True)
class Measured:
    """Figures of one measurement.

    Attributes
    ----------
    rows, queries, k : int
        Size of the search; k is the number of candidates on a board of design signs.
    load_s : float
        Time to fill the store, in seconds.
    search_s : float
        Time for all queries, in seconds; of a virtual board, the time that this computer took.
    cycles_a_query : float
        Clock cycles between queries, from the board's counter, including waiting.
    scoring_cycles : int
        Cycles needed to score all rows once: rows * dimensions / lanes. A scan of signs may score them twice.
    clock_hz : int
        Nominal clock of the board, in Hz.
    queries_a_second : float
        Queries per second at the nominal clock, also for a virtual board, which takes longer.
    link_share : float
        Fraction of the cycles beyond `scoring_cycles`: waiting for the link and, on a board that scans signs, filling
        tables and the second scan.
    query_bytes, line_bytes : int
        Bytes of the queries' nits, and all bytes sent to the board meanwhile: frames, repeats and two requests for
        statistics.
    payload_share : float
        ``query_bytes`` / ``line_bytes``.
    repeats : int
        Requests that were repeated.
    """

    rows: int
    queries: int
    k: int
    load_s: float
    search_s: float
    cycles_a_query: float
    scoring_cycles: int
    clock_hz: int
    queries_a_second: float
    link_share: float
    query_bytes: int
    line_bytes: int
    payload_share: float
    repeats: int


def measure(board: Board, queries: int, k: int) -> Measured:
    """Fill a board's store with random rows and search them; nothing is loaded afterwards.

    Raises
    ------
    UnsupportedError
        `k` exceeds the board's k, or its keep if it scans signs.
    """
    signs = board.identity.design == "signs"
    (board.check_keep if signs else board.check_k)(k)
    identity, rng = board.identity, np.random.default_rng(_SEED)
    nits = rng.integers(NIT_MIN, NIT_MAX, (identity.depth + queries, identity.dimensions), np.int8, endpoint=True)
    packed = pack(nits)
    started = time.perf_counter()
    board.load(packed[: identity.depth], identity.dimensions)
    loaded = time.perf_counter()
    line_bytes = board.link_statistics.bytes_out
    asked = packed[identity.depth :]
    cycles = (board.candidates(asked, k) if signs else board.search(asked, k)).cycles / queries
    searched = time.perf_counter()
    line_bytes = board.link_statistics.bytes_out - line_bytes
    query_bytes = queries * identity.row_bytes
    scoring = identity.depth * identity.dimensions // identity.lanes
    repeats = board.link_statistics.repeats
    board.unload()
    return Measured(
        rows=identity.depth,
        queries=queries,
        k=k,
        load_s=loaded - started,
        search_s=searched - loaded,
        cycles_a_query=cycles,
        scoring_cycles=scoring,
        clock_hz=identity.clock_hz,
        queries_a_second=identity.clock_hz / cycles if cycles else 0.0,
        link_share=max(0.0, 1 - scoring / cycles) if cycles else 0.0,
        query_bytes=query_bytes,
        line_bytes=line_bytes,
        payload_share=query_bytes / line_bytes,
        repeats=repeats,
    )
