"""The link between host and miner: frame layout, commands, errors and limits.

Constants and layouts only; the codecs of the host (``ninefold.drivers.protocol``) and of the fabric
(``ninefold.hdl.cores``) are implemented separately and checked against the bytes in ``tests/fixtures/link``.
``docs/link.md`` is generated from this module and from the register table.

A frame on the wire is ``COBS(header | payload | CRC-32) 0x00``. The header is type, sequence, priority and epoch, one
byte each. The CRC is zlib's, over header and payload. All numbers are little endian.
"""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal

__all__ = [
    "ACCEPTED",
    "BODY_MAX",
    "BODY_MIN",
    "CANDIDATE_BYTES",
    "CHECKS",
    "COBS_RUN",
    "COMMANDS",
    "CRC_BYTES",
    "DELIMITER",
    "ENCODED_MAX",
    "EPOCH_MAX",
    "EPOCH_RESET",
    "ERROR",
    "ERROR_PAYLOAD",
    "FAULTS",
    "FETCH_BYTES",
    "FORMAT_GRID",
    "FORMAT_PACKED",
    "HEADER_BYTES",
    "LOAD_FINAL",
    "PAYLOAD_MAX",
    "PREFIX_BYTES",
    "REPLY",
    "RESULT_BYTES",
    "ROWS_MAX",
    "TICKETS",
    "TICKET_MAX",
    "WINDOW",
    "WINDOW_MAX",
    "Command",
    "Design",
    "Fault",
    "Field",
    "Frame",
    "Kind",
]

#: Byte that ends every frame and does not occur within one. Empty frames are ignored, so any number of delimiters may
#: separate two frames.
DELIMITER: Final = 0x00
#: Maximum number of non-zero bytes after one COBS code byte (0xFF).
COBS_RUN: Final = 254
#: Size of type, sequence, priority and epoch.
HEADER_BYTES: Final = 4
CRC_BYTES: Final = 4
#: Maximum payload of a frame: the prefix of a query or reply, and 4,096 grid values. A board may have smaller limits
#: (register ``limits``).
PAYLOAD_MAX: Final = 8200
BODY_MIN: Final = HEADER_BYTES + CRC_BYTES
BODY_MAX: Final = HEADER_BYTES + PAYLOAD_MAX + CRC_BYTES
#: Maximum bytes between two delimiters: the body, one code byte for each full run, and one more, which an encoder may
#: add even if the last run is full.
ENCODED_MAX: Final = BODY_MAX + BODY_MAX // COBS_RUN + 1

#: Added to the type of a request in its reply.
REPLY: Final = 0x80
#: Type of the reply to a refused request.
ERROR: Final = 0xFF

#: Default window and maximum window; half the sequence numbers, so that old and new requests cannot be confused.
WINDOW: Final = 8
WINDOW_MAX: Final = 128
#: Epoch after a reset and from the start of a load.
EPOCH_RESET: Final = 0
EPOCH_MAX: Final = 255

#: Bytes before the data of READ, WRITE, LOAD, QUERY and CANDIDATES requests and of QUERY and FETCH replies.
PREFIX_BYTES: Final = 4
#: Bit of a LOAD's offset that marks the final block.
LOAD_FINAL: Final = 1 << 31
#: Values of the ``format`` of a QUERY or CANDIDATES, and the bits of the register ``formats`` (1 << value).
FORMAT_PACKED: Final = 0
FORMAT_GRID: Final = 1
#: Size of a result: id u16, score i32.
RESULT_BYTES: Final = 6
#: Maximum rows of a board's store, because an id is a u16.
ROWS_MAX: Final = 1 << 16
#: Size of a FETCH request, and of a candidate in its reply: id u16, coarse score i16.
FETCH_BYTES: Final = 8
CANDIDATE_BYTES: Final = 4
#: Number of tickets that a board keeps, and the largest; 1 follows it.
TICKETS: Final = 2
TICKET_MAX: Final = 65535

#: Designs of boards: a miner scores all nits of a row; a board with the sign plane finds candidates by their signs.
Design = Literal["miner", "signs"]


class Kind(IntEnum):
    """Types of requests; a reply has `REPLY` added, or is `ERROR`."""

    IDENTIFY = 0x01
    READ = 0x02
    WRITE = 0x03
    LOAD = 0x04
    QUERY = 0x05
    STATISTICS = 0x06
    RESET = 0x07
    CANDIDATES = 0x08
    FETCH = 0x09


_COMMON = (Kind.IDENTIFY, Kind.READ, Kind.WRITE, Kind.LOAD, Kind.STATISTICS, Kind.RESET)
#: Design -> the types of requests that it accepts; it refuses all others with `Fault.KIND`.
ACCEPTED: Final = MappingProxyType(
    {
        "miner": (*_COMMON, Kind.QUERY),
        "signs": (*_COMMON, Kind.CANDIDATES, Kind.FETCH),
    }
)


class Fault(IntEnum):
    """Codes of an ERROR reply. A refused request has no effect."""

    KIND = 1
    LENGTH = 2
    ADDRESS = 3
    OFFSET = 4
    STORE = 5
    ROW = 6
    EMPTY = 7
    EPOCH = 8
    K = 9
    FORMAT = 10
    REPLY = 11
    KEEP = 12
    TICKET = 13
    RANGE = 14


#: Code -> reason for the refusal, and meaning of the detail.
FAULTS: Final = MappingProxyType(
    {
        Fault.KIND: ("no such type of request on this design", "0"),
        Fault.LENGTH: ("the payload is too short, too long, or does not match its prefix", "its length in bytes"),
        Fault.ADDRESS: ("the address has no register, or a read-only one", "the first such word address"),
        Fault.OFFSET: ("a LOAD that does not start where the last one ended", "the offset at which it may continue"),
        Fault.STORE: ("a LOAD past the end of the store", "size of the store in bytes"),
        Fault.ROW: ("a final LOAD that does not end with a row", "bytes since the end of the last row"),
        Fault.EMPTY: ("a QUERY or CANDIDATES while nothing is loaded", "0"),
        Fault.EPOCH: ("a QUERY or CANDIDATES for another epoch", "the board's epoch"),
        Fault.K: ("a QUERY for 0 results, or more than the board returns", "the register `k`"),
        Fault.FORMAT: ("queries in a format that the board does not accept", "the register `formats`"),
        Fault.REPLY: ("the reply would be longer than the board can send", "the limit in bytes"),
        Fault.KEEP: ("a CANDIDATES for 0 rows, or more than the board keeps", "the register `keep`"),
        Fault.TICKET: ("a FETCH for a ticket that the board does not keep", "the last ticket; 0 before the first"),
        Fault.RANGE: ("a FETCH past the rows kept for its ticket", "the number of rows kept"),
    }
)

#: Kind -> checks of a board in order, each with the condition of refusal; the reply gives the first that fails.
#: `Fault.KIND` is checked before all others.
CHECKS: Final = MappingProxyType(
    {
        Kind.IDENTIFY: ((Fault.LENGTH, "the payload is not 4 bytes"),),
        Kind.READ: (
            (Fault.LENGTH, "the payload is not 4 bytes, or count is 0"),
            (Fault.ADDRESS, "one of the addresses has no register"),
        ),
        Kind.WRITE: (
            (Fault.LENGTH, "the payload is not 4 + 4 x count bytes, or count is 0"),
            (Fault.ADDRESS, "one of the addresses has no register that may be written"),
        ),
        Kind.LOAD: (
            (Fault.LENGTH, "the payload is 4 bytes or less"),
            (Fault.OFFSET, "offset is not 0, and no load is in progress or offset is not `load_bytes`"),
            (Fault.STORE, "the block ends after `depth` rows"),
            (Fault.ROW, "the block is final and does not end with a row"),
        ),
        Kind.QUERY: (
            (Fault.LENGTH, "the payload is less than 4 bytes, or count is 0"),
            (Fault.FORMAT, "the bit of the format in `formats` is 0"),
            (Fault.EMPTY, "`rows` is 0"),
            (Fault.EPOCH, "the epoch in the header is not `epoch`"),
            (Fault.K, "k is 0 or more than the register `k`"),
            (
                Fault.REPLY,
                "4 + 6 x n x results is more than the limit, where results is the smaller of k and `rows`, and n is "
                "the smaller of count and 1 + the number of whole queries in the payload",
            ),
            (Fault.LENGTH, "the payload is not 4 + count x the bytes of a query"),
        ),
        Kind.STATISTICS: ((Fault.LENGTH, "the payload is not empty"),),
        Kind.RESET: ((Fault.LENGTH, "the payload is not empty"),),
        Kind.CANDIDATES: (
            (Fault.LENGTH, "the payload is less than 4 bytes, or masked is more than 1"),
            (Fault.FORMAT, "the bit of the format in `formats` is 0"),
            (Fault.EMPTY, "`rows` is 0"),
            (Fault.EPOCH, "the epoch in the header is not `epoch`"),
            (Fault.KEEP, "keep is 0 or more than the register `keep`"),
            (Fault.LENGTH, "the payload is not 4 + the bytes of a query + the bytes of a mask if masked is 1"),
        ),
        Kind.FETCH: (
            (Fault.LENGTH, f"the payload is not {FETCH_BYTES} bytes"),
            (Fault.TICKET, "the board does not keep the ticket"),
            (Fault.REPLY, "4 + 4 x count is more than the limit"),
            (Fault.RANGE, "offset + count is more than the rows kept for the ticket"),
        ),
    }
)


@dataclass(frozen=True)
class Frame:
    """Decoded frame.

    Attributes
    ----------
    kind : int
        Type: a `Kind`, a `Kind` + `REPLY`, or `ERROR`; other values are unknown types.
    sequence : int
        0 to 255. A reply has the sequence number of its request.
    priority : int
        0 to 255; 0 if it does not matter. Boards echo it and serve requests in the order of arrival.
    epoch : int
        In a QUERY or CANDIDATES: the epoch of the database to search. In other requests: 0. In a reply: the board's
        epoch.
    payload : bytes
        0 to `PAYLOAD_MAX` bytes.
    """

    kind: int
    sequence: int
    priority: int
    epoch: int
    payload: bytes = b""


@dataclass(frozen=True)
class Field:
    """Field of a payload.

    Attributes
    ----------
    name : str
        Name in the fixtures and codecs.
    type : str
        ``u8``, ``u16``, ``u32``, ``i16`` or ``i32``; with ``[]``, an array that fills the rest.
    doc : str
        Meaning.
    """

    name: str
    type: str
    doc: str


@dataclass(frozen=True)
class Command:
    """Request and its reply.

    Attributes
    ----------
    kind : Kind
        Type of the request.
    request, reply : tuple of Field
        Payloads as fields in order, without padding.
    doc : str
        Effect on the board.
    """

    kind: Kind
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    doc: str


#: Payload of an ERROR reply.
ERROR_PAYLOAD: Final = (
    Field("code", "u8", "reason, one of the codes below"),
    Field("kind", "u8", "type of the request"),
    Field("zero", "u16", "0"),
    Field("detail", "u32", "depends on the code"),
)

COMMANDS: Final = (
    Command(
        Kind.IDENTIFY,
        (Field("nonce", "u32", "any number, different in each IDENTIFY"),),
        (Field("nonce", "u32", "the same number"), Field("words", "u32[]", "the identity registers, in order")),
        "Starts a session: the board discards its kept replies, so that it does not take a request of this client for "
        "the repeat of another client's. Never answered from a kept reply. Has no other effect.",
    ),
    Command(
        Kind.READ,
        (Field("address", "u16", "word address of the first register"), Field("count", "u16", "registers, 1 or more")),
        (Field("words", "u32[]", "count words"),),
        "Reads consecutive registers. Addresses without a register are refused. The two halves of a 64-bit counter "
        "are consistent if one request reads both.",
    ),
    Command(
        Kind.WRITE,
        (
            Field("address", "u16", "word address of the first register"),
            Field("count", "u16", "registers, 1 or more"),
            Field("words", "u32[]", "count words"),
        ),
        (),
        "Writes consecutive registers: all of them, or none if one may not be written. Bit 0 of `control` takes effect "
        "last, after the other registers are written.",
    ),
    Command(
        Kind.LOAD,
        (
            Field("offset", "u32", "bits 30..0: start of the block, in bytes from the first row; bit 31: final"),
            Field("data", "u8[]", "1 byte or more of packed nits, consecutive rows without gaps"),
        ),
        (Field("next", "u32", "offset of the next block; 0 after a final one"),),
        "Fills the store in order, in blocks of any size. A block at offset 0 always starts a new load: it "
        "sets rows and epoch to 0 and restarts load_check. A final block sets rows to the number of rows loaded. "
        "A row is dimensions / 2 bytes. A board of design signs stores the sign of each nit, and forgets all tickets "
        "when a load starts.",
    ),
    Command(
        Kind.QUERY,
        (
            Field(
                "format", "u8", "0: packed nits, dimensions / 2 bytes per query; 1: grid values, i16, 2 x dimensions"
            ),
            Field("count", "u8", "number of queries, 1 or more"),
            Field("k", "u16", "results per query, 1 to the board's k"),
            Field("data", "u8[]", "consecutive queries"),
        ),
        (
            Field("zero", "u8", "0"),
            Field("count", "u8", "number of queries, as in the request"),
            Field("results", "u16", "results per query: the smaller of k and rows"),
            Field("found", "(u16 id, i32 score)[]", "count x results, best first; of equal scores, the lower id first"),
        ),
        "Scores each query against all rows. The epoch in the request's header must be the board's.",
    ),
    Command(
        Kind.STATISTICS,
        (),
        (Field("words", "u32[]", "the statistics registers, in order, all at the same moment"),),
        "Reads the counters and the temperature.",
    ),
    Command(
        Kind.RESET,
        (),
        (),
        "Empties the store (rows and epoch 0), sets thresholds and counters to their values after power-on, and "
        "discards the kept replies and tickets. The reply is sent afterwards.",
    ),
    Command(
        Kind.CANDIDATES,
        (
            Field("format", "u8", "as in a QUERY"),
            Field("masked", "u8", "1: a mask follows the query; 0: all rows are allowed"),
            Field("keep", "u16", "rows to keep, 1 to the board's keep"),
            Field(
                "data",
                "u8[]",
                "one query; then, if masked, one bit per row of the store, ceil(rows / 8) bytes, row 0 in bit 0 of the "
                "first: 1 if the row is allowed. Bits after the last row are ignored",
            ),
        ),
        (
            Field("ticket", "u16", f"1 after a reset, one more each time; 1 follows {TICKET_MAX}"),
            Field("zero", "u16", "0"),
        ),
        "Starts a scan for the allowed rows with the best coarse scores, at most keep; of equal scores, the lower ids. "
        "The reply does not wait for the scan. The epoch in the request's header must be the board's. The board keeps "
        f"{TICKETS} tickets: the next one replaces the oldest. LOAD (at offset 0) and RESET forget all tickets; RESET "
        "also restarts their numbers.",
    ),
    Command(
        Kind.FETCH,
        (
            Field("ticket", "u16", "from the reply to CANDIDATES"),
            Field("offset", "u16", "candidates to skip"),
            Field("count", "u16", "candidates to return, 0 or more"),
            Field("zero", "u16", "0"),
        ),
        (
            Field("total", "u16", "rows kept for the ticket: the smaller of keep and the number of allowed rows"),
            Field("count", "u16", "as in the request"),
            Field("found", "(u16 id, i16 score)[]", "count candidates, in an order that the board chooses"),
        ),
        "Waits until the scan of the ticket is complete, and returns some of its candidates. The order of a ticket's "
        "candidates does not change between requests.",
    ),
)
