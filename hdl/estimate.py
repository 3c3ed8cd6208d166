"""What a configuration will take and how fast it will be, before it is built.

Cycles are counted from how the miner works (:mod:`ninefold.hdl.miner`); cells and blocks are in
:mod:`ninefold.hdl.estimate_area`.
"""

from dataclasses import dataclass, fields, replace
from math import ceil, log2
from typing import Any, Final

from ninefold.hdl.configurations import Configuration
from ninefold.hdl.cores.checks import check_integer
from ninefold.hdl.cores.relay import relays_to
from ninefold.hdl.miner.miner import registers_stores, selects_by_insertion
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.errors import InputError
from ninefold.spec.link import COBS_RUN, CRC_BYTES, HEADER_BYTES, PREFIX_BYTES, RESULT_BYTES

__all__ = ["Speed", "changed", "speed"]

#: Of the fastest UART chips.
_BAUD_MAX: Final = 12_000_000

#: Bits of a byte on a serial line, 8N1.
_LINE_BITS: Final = 10
#: Cycles from the end of a request to its first byte on the way to the engine, and from the last result to the first
#: byte of a reply, beside what depends on the parameters.
_CHECKING: Final = 22
_ANSWERING: Final = 8
#: Queries a request, at most: the count is a byte.
_QUERIES_MAX: Final = 255


@dataclass(frozen=True)
class Speed:
    """How fast a full store is searched with packed nits, k results a query.

    Attributes
    ----------
    engine_cycles : int
        Cycles that the engine needs for a query.
    line_cycles : float
        Cycles that a query takes on the line to the board, in the fullest requests, and its results from there,
        whichever is more.
    interval_cycles : float
        Cycles from query to query at saturation: what takes longest of the two and of the way through the board.
    latency_cycles : int
        Cycles from the first bit of a request with one query to the last bit of its reply, on an idle board.
    queries_s : float
        Queries a second at saturation.
    link_share, reply_share : float
        Parts of the interval in which the lines to the board and from it are busy.
    """

    engine_cycles: int
    line_cycles: float
    interval_cycles: float
    latency_cycles: int
    queries_s: float
    link_share: float
    reply_share: float


def speed(configuration: Configuration) -> Speed:
    """Count the cycles of a configuration."""
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


#: Nits whose registers, in packer and engine, share an enable.
_GROUP_LANES: Final = 32


def _groups(p: MinerParameters) -> int:
    return ceil(p.lanes / _GROUP_LANES)


def _latency(p: MinerParameters, byte_cycles: int, feed: int, engine: int) -> int:
    """Count from the first bit of a request to the last of its reply, which is sent once all of it is built."""
    results = min(p.k, p.depth)
    request, reply = _frame_bytes(PREFIX_BYTES + p.row_bytes), _frame_bytes(PREFIX_BYTES + RESULT_BYTES * results)
    pipeline = ceil(log2(p.lanes)) + (11 + relays_to(_groups(p)) if registers_stores(p) else 8)
    # The systolic array and its queue, or a walk through the memory; then the results leave, which the reply's
    # building outlasts.
    select = p.k + 4 if selects_by_insertion(p) else p.k + 5 + 2 * ceil((2 * p.k + 6) / 15)
    built = (RESULT_BYTES + 1) * results
    return byte_cycles * (request + reply) + _CHECKING + feed + engine + pipeline + select + built + _ANSWERING


def _frame_bytes(payload: int) -> int:
    """Return the bytes on the line of a frame: header, CRC, the codes of the stuffing and the end."""
    body = HEADER_BYTES + payload + CRC_BYTES
    return body + ceil(body / COBS_RUN) + 1


def changed(configuration: Configuration, values: dict[str, str]) -> Configuration:
    """Return a configuration with other parameters.

    Parameters
    ----------
    configuration : Configuration
        What is changed.
    values : dict of str to str
        Numbers by the names of the miner's parameters, and ``baud``; ``mode`` by its name.

    Raises
    ------
    InputError
        There is no such parameter, or its value is not allowed.
    """
    names = [f.name for f in fields(MinerParameters) if f.name != "digest"]
    miner: dict[str, Any] = {}
    baud = configuration.baud
    for name, text in values.items():
        if name == "mode":
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
