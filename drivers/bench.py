"""How fast a board is, and how much of that is the link."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ninefold.drivers.board import Board
from ninefold.drivers.known_answer import pack_nits
from ninefold.spec.formats import NIT_MAX, NIT_MIN

__all__ = ["Measured", "measure"]

_SEED = 11


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes
    ----------
    rows, queries, k : int
        The search.
    load_s : float
        Time to fill the store.
    search_s : float
        Time for all queries; on a virtual board that of this computer, not of a board.
    cycles_a_query : float
        Clock cycles between queries, from the board's counter, waiting included.
    scoring_cycles : int
        Of these, what scoring all rows needs: rows * dimensions / lanes.
    clock_hz : int
        The board's nominal clock.
    queries_a_second : float
        At that clock; of a virtual board too, which takes longer.
    link_share : float
        Part of the cycles in which no row was scored.
    query_bytes, line_bytes : int
        Bytes of the queries' nits, and all bytes to the board while they were asked: frames, repeats, and two requests
        for statistics.
    payload_share : float
        The first of the second.
    repeats : int
        Requests that had to be sent again.
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
        For a k that the board does not have.
    """
    board.check_k(k)
    identity, rng = board.identity, np.random.default_rng(_SEED)
    nits = rng.integers(NIT_MIN, NIT_MAX, (identity.depth + queries, identity.dimensions), np.int8, endpoint=True)
    packed = pack_nits(nits)
    started = time.perf_counter()
    board.load(packed[: identity.depth], identity.dimensions)
    loaded = time.perf_counter()
    line_bytes = board.link_statistics.bytes_out
    cycles = board.search(packed[identity.depth :], k).cycles / queries
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
