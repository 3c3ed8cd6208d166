"""Benchmark of the link: its codec, payload a cycle of boards around a core, payload share and cycles between queries.

Run with ``ninefold bench link``. The default is a virtual board; ``--device board:NAME`` chooses another.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from ninefold.drivers.bench import Measured, measure
from ninefold.drivers.boards import open_board, url_of
from ninefold.drivers.codec_benchmark import measure_codec
from ninefold.drivers.stream_benchmark import measure_streams
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.errors import DeviceError

__all__ = ["link"]

#: Boards and numbers of queries. The link of virtual/tiny is as fast as its engine; icebreaker/small includes its UART.
_BOARDS: Final[Mapping[Size, tuple[str, int]]] = {
    "tiny": ("board:virtual/tiny", 20),
    "small": ("board:icebreaker/small", 300),
    "large": ("board:icebreaker/small", 2000),
}
_REPETITIONS: Final = 3
_K: Final = 8


def _measure(request: Request) -> list[Figure]:
    """Measure the codec and boards of cores, and send the same queries to each board three times."""
    default, queries = _BOARDS[request.size]
    figures = [*measure_codec(request), *measure_streams(request)]
    for name in request.of_backend("board") or (default,):
        # The digest of the expected bitstream may follow, as in any device name.
        bare, _, digest = name.partition("#")
        board = open_board(bare, digest=digest)
        try:
            k = min(_K, board.identity.results)
            measured = [measure(board, queries, k) for _ in range(_REPETITIONS)]
        finally:
            board.close()
        if any(one.repeats != measured[0].repeats for one in measured):
            request.note(f"link: {name} repeated requests; repeats count as overhead in the payload share")
        figures += _figures(name, measured)
    return figures


def _figures(name: str, measured: list[Measured]) -> list[Figure]:
    first = measured[0]
    if not first.cycles_a_query:
        raise DeviceError(f"{name} counted no cycles for {first.queries} queries")
    sizes: dict[str, Parameter] = {"rows": first.rows, "k": first.k, "queries": first.queries}
    clock = f"at the nominal clock of {first.clock_hz / 1e6:g} MHz"
    timed = functools.partial(Figure.timed, "link", name, parameters=sizes)
    return [
        timed(
            "payload of bytes to the board",
            [one.payload_share for one in measured],
            "",
            better="more",
            target=">= 0.9" if first.queries >= 200 else "",
            detail=f"{first.query_bytes:,} bytes of nits in {first.line_bytes:,}",
        ),
        timed(
            "cycles a query",
            [one.cycles_a_query for one in measured],
            "cycles",
            better="less",
            detail=f"scoring alone takes {first.scoring_cycles:,}",
        ),
        timed(
            "queries a second",
            [one.queries_a_second for one in measured],
            "1/s",
            kind="projected",
            detail=clock,
        ),
        timed(
            "by this computer's clock",
            [one.queries / one.search_s for one in measured],
            "1/s",
            detail="a virtual board is simulated",
        ),
        timed(
            "payload by this computer's clock",
            [one.query_bytes / one.search_s / 1e3 for one in measured],
            "kB/s",
            detail="a virtual board is simulated",
        ),
    ]


def _check() -> object:
    return url_of(_BOARDS["tiny"][0])


#: Suite that measures the codec, and real or virtual boards.
link = Benchmark(_measure, _check, ("board",))
