"""Decoding of reply payloads; invalid bytes raise only `ProtocolError`."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.spec.formats import CANDIDATES_MAX, DIMENSIONS_MAX, K_MAX, Mode
from ninefold.spec.link import (
    CANDIDATE_BYTES,
    FORMAT_GRID,
    FORMAT_PACKED,
    PAYLOAD_MAX,
    PREFIX_BYTES,
    RESULT_BYTES,
    ROWS_MAX,
    WINDOW_MAX,
    Design,
    Fault,
    Kind,
)
from ninefold.spec.registers import (
    BY_NAME,
    DESIGN_CODES,
    IDENTITY,
    MAGIC,
    MODE_CODES,
    NO_TEMPERATURE,
    STATISTICS,
    VERSION,
)
from ninefold.spec.stream_link import StreamFault, StreamKind

__all__ = [
    "Identity",
    "QueryReply",
    "Refusal",
    "Statistics",
    "candidates",
    "found",
    "identity",
    "load",
    "nonce",
    "nothing",
    "refusal",
    "statistics",
    "ticket",
    "words",
]

_FOUND = np.dtype([("id", "<u2"), ("score", "<i4")])
_CANDIDATES = np.dtype([("id", "<u2"), ("score", "<i2")])
#: Smallest allowed limits on payloads: a WRITE of one register as a request, an IDENTIFY reply as a reply.
_REQUEST_LEAST, _REPLY_LEAST = PREFIX_BYTES + 4, 4 + 4 * len(IDENTITY)
_MODES: dict[int, Mode] = {code: mode for mode, code in MODE_CODES.items()}
_DESIGNS: dict[int, Design] = {code: design for design, code in DESIGN_CODES.items()}


@dataclass(frozen=True)
class Identity:
    """Identity that a board reports.

    Attributes
    ----------
    digest : str
        Digest of the bitstream's inputs, 64 hexadecimal digits.
    dimensions : int
        Nits per row.
    lanes : int
        Nits scored per cycle.
    depth : int
        Capacity of the store in rows.
    k : int
        Maximum number of results per QUERY; 0 in the design signs.
    mode : {'tanh', 'linear'}
        Mode of the quantiser.
    formats : frozenset of int
        Query formats that the board accepts.
    window : int
        Maximum number of requests in flight.
    request_max, reply_max : int
        Maximum payload sizes in bytes, at most `PAYLOAD_MAX`.
    clock_hz : int
        Frequency of the clock, in Hz.
    design : {'miner', 'signs'}
        Design of the board.
    keep : int
        Maximum number of candidates per ticket; 0 in other designs than signs.
    """

    digest: str
    dimensions: int
    lanes: int
    depth: int
    k: int
    mode: Mode
    formats: frozenset[int]
    window: int
    request_max: int
    reply_max: int
    clock_hz: int
    design: Design
    keep: int

    @property
    def results(self) -> int:
        """Maximum number of results per query: candidates in the design signs."""
        return self.keep if self.design == "signs" else self.k

    @property
    def row_bytes(self) -> int:
        """Size in bytes of a row in the store, and of a query of packed nits."""
        return self.dimensions // 2


@dataclass(frozen=True)
class Statistics:
    """Counters of a board since its reset.

    Attributes
    ----------
    queries, cycles, accepted, stalls, crc_errors, dropped : int
        Values of the registers with these names.
    temperature_celsius : float or None
        Temperature; None if the board has no sensor.
    """

    queries: int
    cycles: int
    accepted: int
    stalls: int
    crc_errors: int
    dropped: int
    temperature_celsius: float | None


@dataclass(frozen=True)
class QueryReply:
    """Results of the queries of one frame, or candidates of one query.

    Attributes
    ----------
    ids : uint16 array of shape (count, results)
        Rows, best first; candidates in an order that the board chooses.
    scores : int32 array of shape (count, results)
        Scores of these rows.
    """

    ids: npt.NDArray[np.uint16]
    scores: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Refusal:
    """Content of an ERROR reply.

    Attributes
    ----------
    code : int
        A `Fault` or `StreamFault`, or an unknown code.
    kind : int
        Type of the request that was refused.
    detail : int
        Depends on the code.
    """

    code: int
    kind: int
    detail: int

    def __str__(self) -> str:
        names = {int(fault): fault.name for faults in (Fault, StreamFault) for fault in faults}
        kinds = {int(kind): kind.name for kinds in (Kind, StreamKind) for kind in kinds}
        code = names.get(self.code, f"error {self.code}")
        return f"{kinds.get(self.kind, f'request {self.kind}')} refused: {code}, detail {self.detail}"


def words(payload: bytes, count: int) -> tuple[int, ...]:
    """Return the `count` words of a READ reply."""
    _sized("READ or STATISTICS", payload, 4 * count)
    return struct.unpack(f"<{count}I", payload)


def nothing(payload: bytes) -> None:
    """Check the payload of a reply that carries none."""
    _sized("WRITE or RESET", payload, 0)


def load(payload: bytes) -> int:
    """Return the offset of the next block in bytes, from a LOAD reply."""
    _sized("LOAD", payload, 4)
    return int.from_bytes(payload, "little")


def found(payload: bytes, count: int, results: int) -> QueryReply:
    """Return the results of a QUERY reply, which must hold `results` results for each of `count` queries."""
    if len(payload) < PREFIX_BYTES:
        raise ProtocolError(f"a QUERY reply has at least {PREFIX_BYTES} bytes, not {len(payload)}")
    zero, said, each = struct.unpack_from("<BBH", payload)
    if (zero, said, each) != (0, count, results):
        found = f"{said} with {each} ({zero})"
        raise ProtocolError(f"a QUERY reply must hold {count} queries with {results} results, not {found}")
    _sized("QUERY", payload, PREFIX_BYTES + RESULT_BYTES * count * results)
    table = np.frombuffer(payload, _FOUND, offset=PREFIX_BYTES).reshape(count, results)
    return QueryReply(table["id"].astype(np.uint16), table["score"].astype(np.int32))


def ticket(payload: bytes) -> int:
    """Return the ticket in a CANDIDATES reply, 1 to 65535."""
    _sized("CANDIDATES", payload, 4)
    number, zero = struct.unpack("<HH", payload)
    if number == 0 or zero:
        raise ProtocolError(f"a CANDIDATES reply must hold a ticket from 1 and 0, not {number} and {zero}")
    return int(number)


def candidates(payload: bytes, total: int, count: int) -> QueryReply:
    """Return the candidates of one query from a FETCH reply, which must hold `count` of `total`."""
    _sized("FETCH", payload, PREFIX_BYTES + CANDIDATE_BYTES * count)
    said = struct.unpack_from("<HH", payload)
    if said != (total, count):
        raise ProtocolError(f"a FETCH reply must hold {count} of {total} candidates, not {said[1]} of {said[0]}")
    table = np.frombuffer(payload, _CANDIDATES, offset=PREFIX_BYTES)
    return QueryReply(table["id"][None].astype(np.uint16), table["score"][None].astype(np.int32))


def refusal(payload: bytes) -> Refusal:
    """Return the content of an ERROR reply."""
    _sized("ERROR", payload, 8)
    code, kind, _, detail = struct.unpack("<BBHI", payload)
    return Refusal(code, kind, detail)


def statistics(payload: bytes) -> Statistics:
    """Return the counters of a STATISTICS reply."""
    said = dict(zip(STATISTICS, words(payload, len(STATISTICS)), strict=True))

    def word(name: str) -> int:
        return said[BY_NAME[name].address]

    millidegrees = word("temperature")
    signed = millidegrees - (millidegrees >> 31 << 32)
    return Statistics(
        queries=word("queries"),
        cycles=word("cycles_low") | word("cycles_high") << 32,
        accepted=word("accepted_low") | word("accepted_high") << 32,
        stalls=word("stalls"),
        crc_errors=word("crc_errors"),
        dropped=word("dropped"),
        temperature_celsius=None if millidegrees == NO_TEMPERATURE else signed / 1000,
    )


def nonce(payload: bytes) -> int:
    """Return the nonce of an IDENTIFY reply."""
    _sized("IDENTIFY", payload, 4 + 4 * len(IDENTITY))
    return int.from_bytes(payload[:4], "little")


def identity(payload: bytes) -> Identity:
    """Return the identity in an IDENTIFY reply, after checking the version and all sizes."""
    _sized("IDENTIFY", payload, 4 + 4 * len(IDENTITY))
    said = dict(zip(IDENTITY, words(payload[4:], len(IDENTITY)), strict=True))

    def word(name: str, low: int, high: int) -> int:
        value = said[BY_NAME[name].address]
        if not low <= value <= high:
            raise ProtocolError(f"the board reports {name} = {value}, which must be {low} to {high}")
        return value

    if said[BY_NAME["magic"].address] != MAGIC:
        raise ProtocolError(f"the board reports magic = {said[BY_NAME['magic'].address]:#010x}, not {MAGIC:#010x}")
    word("version", VERSION, VERSION)
    dimensions, lanes = word("dimensions", 2, DIMENSIONS_MAX), word("lanes", 1, DIMENSIONS_MAX)
    window = word("window", 1, WINDOW_MAX)
    design = _DESIGNS[word("design", 0, len(_DESIGNS) - 1)]
    signs = design == "signs"
    if dimensions % 2 or (dimensions % lanes and not (signs and lanes % dimensions == 0)) or window & (window - 1):
        allowed = "a multiple of lanes, or lanes of dimensions" if signs else "a multiple of lanes"
        raise ProtocolError(
            f"the board reports dimensions = {dimensions}, lanes = {lanes}, window = {window}, where dimensions must be"
            f" even and {allowed}, and window a power of two"
        )
    formats = word("formats", 1, 3)
    request_max, reply_max = _limits(word("limits", 0, 2**32 - 1))
    return Identity(
        digest=b"".join(said[a].to_bytes(4, "little") for a in BY_NAME["digest"].addresses).hex(),
        dimensions=dimensions,
        lanes=lanes,
        depth=word("depth", 1, ROWS_MAX),
        k=word("k", 0, 0) if signs else word("k", 1, K_MAX),
        mode=_MODES[word("mode", 0, len(_MODES) - 1)],
        formats=frozenset(f for f in (FORMAT_PACKED, FORMAT_GRID) if formats >> f & 1),
        window=window,
        request_max=request_max,
        reply_max=reply_max,
        clock_hz=word("clock_hz", 1, 2**32 - 1),
        design=design,
        keep=word("keep", 1, CANDIDATES_MAX) if signs else word("keep", 0, 0),
    )


def _limits(word: int) -> tuple[int, int]:
    """Return the limits on request and reply payloads, bounded by the size of a frame."""
    for name, size, least in (("request", word & 0xFFFF, _REQUEST_LEAST), ("reply", word >> 16, _REPLY_LEAST)):
        if size < least:
            raise ProtocolError(
                f"the board reports limits = {word:#010x}: the longest {name}, {size} bytes, must be at least {least}"
            )
    return min(word & 0xFFFF, PAYLOAD_MAX), min(word >> 16, PAYLOAD_MAX)


def _sized(what: str, payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise ProtocolError(f"a reply to {what} has {len(payload)} bytes of payload where {size} are expected")
