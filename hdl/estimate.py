"""Estimate of a configuration's speed before it is built.

Cycles are derived from the operation of the miner (:mod:`ninefold.hdl.miner`). Cells and blocks are estimated in
:mod:`ninefold.hdl.estimate_area`.
"""

from dataclasses import dataclass, fields, replace
from math import ceil, log2
from typing import Any, Final

from ninefold.hdl.checks import check_integer
from ninefold.hdl.configurations import Configuration
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.search import registers_stores, scan_cycles, selects_by_insertion
from ninefold.hdl.parts.relay import relays_to
from ninefold.spec.errors import InputError
from ninefold.spec.link import (
    CANDIDATE_BYTES,
    COBS_RUN,
    CRC_BYTES,
    FETCH_BYTES,
    HEADER_BYTES,
    PREFIX_BYTES,
    RESULT_BYTES,
)

__all__ = ["Speed", "changed", "speed"]

#: Baud rate of the fastest UART chips.
_BAUD_MAX: Final = 12_000_000

#: Bits per byte on a UART, 8N1.
_LINE_BITS: Final = 10
#: Cycles from the end of a request to its first byte on the way to the engine, and from the last result to the first
#: byte of a reply, without the part that depends on the parameters.
_CHECKING: Final = 22
_ANSWERING: Final = 8
#: Cycles to build a word of a reply.
_WORD_CYCLES: Final = 5
#: Maximum number of queries per request, whose count is one byte.
_QUERIES_MAX: Final = 255


@dataclass(frozen=True)
class Speed:
    """Estimated speed of searching a full store with packed nits and k results, or keep candidates, per query.

    Attributes
    ----------
    engine_cycles : int
        Cycles of the engine per query.
    line_cycles : float
        Cycles per query on the UART, in requests of maximum size: the larger of the time to the board and the time for
        the results from it. In the design signs, a query is one request, and its candidates are fetched by others.
    interval_cycles : float
        Cycles from query to query at saturation: the maximum of the two above and of the path through the board.
    latency_cycles : int
        Cycles from the first bit of a request with one query to the last bit of its reply, on an idle board.
    queries_s : float
        Queries per second at saturation.
    link_share, reply_share : float
        Fraction of the interval in which the UART to the board, and from it, is busy.
    """

    engine_cycles: int
    line_cycles: float
    interval_cycles: float
    latency_cycles: int
    queries_s: float
    link_share: float
    reply_share: float


def speed(configuration: Configuration) -> Speed:
    """Estimate the cycles of a configuration."""
    if configuration.miner.design == "signs":
        return _sign_speed(configuration)
    p = configuration.miner
    beats = p.dimensions // p.lanes
    byte_cycles = 1 if configuration.divisor is None else _LINE_BITS * configuration.divisor
    results = min(p.k, p.depth)
    queries = min(
        (p.request_limit - PREFIX_BYTES) // p.row_bytes,
        (p.reply_limit - PREFIX_BYTES) // (RESULT_BYTES * results),
        _QUERIES_MAX,
    )
    line_in = byte_cycles * _frame_bytes(PREFIX_BYTES + queries * p.row_bytes) / queries
    line_out = byte_cycles * _frame_bytes(PREFIX_BYTES + queries * RESULT_BYTES * results) / queries
    engine = p.depth * beats
    groups = _groups(p)
    feed = p.row_bytes + beats * (1 if groups == 1 else 2 + max(1, relays_to(groups))) + 2
    answer = (RESULT_BYTES + 1) * results
    interval = max(engine, line_in, line_out, feed + _CHECKING / queries, answer + _ANSWERING / queries)
    return Speed(
        engine_cycles=engine,
        line_cycles=max(line_in, line_out),
        interval_cycles=interval,
        latency_cycles=_latency(p, byte_cycles, feed, engine),
        queries_s=p.clock_hz / interval,
        link_share=line_in / interval,
        reply_share=line_out / interval,
    )


def _sign_speed(configuration: Configuration) -> Speed:
    p = configuration.miner
    byte_cycles = 1 if configuration.divisor is None else _LINE_BITS * configuration.divisor
    kept = min(p.keep, p.depth)
    each = min(kept, (p.reply_limit - PREFIX_BYTES) // CANDIDATE_BYTES)
    fetches = [min(each, kept - first) for first in range(0, kept, each)]
    ask, ticket, fetch = (_frame_bytes(size) for size in (PREFIX_BYTES + p.row_bytes, PREFIX_BYTES, FETCH_BYTES))
    found = sum(_frame_bytes(PREFIX_BYTES + CANDIDATE_BYTES * count) for count in fetches)
    line_in, line_out = byte_cycles * (ask + len(fetches) * fetch), byte_cycles * (ticket + found)
    engine, latency = scan_cycles(p)
    feed = p.row_bytes + p.dimensions // p.word_nits + 2
    answer = _WORD_CYCLES * (2 * len(fetches) + kept)
    interval = max(engine, line_in, line_out, feed + _CHECKING, answer)
    # The host asks for candidates when it has the ticket, usually while the rows are scanned.
    asks = byte_cycles * (ticket + fetch) + _ANSWERING + _CHECKING
    first = _WORD_CYCLES * (2 + each) + _ANSWERING
    return Speed(
        engine_cycles=engine,
        line_cycles=max(line_in, line_out),
        interval_cycles=interval,
        latency_cycles=byte_cycles * (ask + found) + _CHECKING + feed + max(latency, asks) + first,
        queries_s=p.clock_hz / interval,
        link_share=line_in / interval,
        reply_share=line_out / interval,
    )


#: Number of nits whose registers share an enable, in packer and engine.
_GROUP_LANES: Final = 32


def _groups(p: MinerParameters) -> int:
    return ceil(p.lanes / _GROUP_LANES)


def _latency(p: MinerParameters, byte_cycles: int, feed: int, engine: int) -> int:
    """Return the cycles from the first bit of a request to the last bit of its reply, which is sent when complete."""
    results = min(p.k, p.depth)
    request, reply = _frame_bytes(PREFIX_BYTES + p.row_bytes), _frame_bytes(PREFIX_BYTES + RESULT_BYTES * results)
    pipeline = ceil(log2(p.lanes)) + (11 + relays_to(_groups(p)) if registers_stores(p) else 8)
    # The latency of the systolic array and its queue, or a pass through the memory, and a register before the replies.
    # Building the reply takes longer than the output of the results.
    select = 1 + (p.k + 4 if selects_by_insertion(p) else p.k + 5 + 2 * ceil((2 * p.k + 6) / 15))
    built = (RESULT_BYTES + 1) * results
    return byte_cycles * (request + reply) + _CHECKING + feed + engine + pipeline + select + built + _ANSWERING


def _frame_bytes(payload: int) -> int:
    """Return the transmitted size of a frame in bytes: header, payload, CRC, COBS codes and delimiter."""
    body = HEADER_BYTES + payload + CRC_BYTES
    return body + ceil(body / COBS_RUN) + 1


def changed(configuration: Configuration, values: dict[str, str]) -> Configuration:
    """Return a configuration with changed parameters.

    Parameters
    ----------
    configuration : Configuration
        Configuration to start from.
    values : dict of str to str
        New values by parameter name, including ``baud`` and ``mode``.

    Raises
    ------
    InputError
        A parameter is unknown, or its value is not allowed.
    """
    names = [f.name for f in fields(MinerParameters) if f.name != "digest"]
    miner: dict[str, Any] = {}
    baud = configuration.baud
    for name, text in values.items():
        if name in ("mode", "design"):
            miner[name] = text
            continue
        if name not in (*names, "baud"):
            raise InputError(f"a parameter must be one of {', '.join([*names, 'baud'])}, not {name!r}")
        try:
            number = int(text)
        except ValueError:
            raise InputError(f"{name} must be an integer, not {text!r}") from None
        if name == "baud":
            check_integer("baud", number, 1, _BAUD_MAX)
            baud = number
        else:
            miner[name] = number
    return Configuration(replace(configuration.miner, **miner), baud)
