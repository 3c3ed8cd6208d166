"""The link between host and miner: frame layout, commands, errors and limits.

Constants and layouts only; the codecs of the host (``ninefold.drivers.protocol``) and of the fabric
(``ninefold.hdl.link``) are written apart and checked against the bytes in ``tests/fixtures/link``. ``docs/link.md`` is
generated from this page and from the register table.

A frame on the wire is ``COBS(header | payload | CRC-32) 0x00``. The header is type, sequence, priority and epoch, one
byte each. The CRC is zlib's, over header and payload. Every number is little endian.
"""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

__all__ = [
    "BODY_MAX",
    "BODY_MIN",
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
    "FORMAT_GRID",
    "FORMAT_PACKED",
    "HEADER_BYTES",
    "LOAD_FINAL",
    "PAYLOAD_MAX",
    "PREFIX_BYTES",
    "REPLY",
    "RESULT_BYTES",
    "ROWS_MAX",
    "WINDOW",
    "WINDOW_MAX",
    "Command",
    "Fault",
    "Field",
    "Frame",
    "Kind",
]

#: Ends every frame and occurs nowhere inside one. Empty frames mean nothing, so any number may separate two frames.
DELIMITER: Final = 0x00
#: The most bytes other than zero that one COBS code byte (0xFF) introduces.
COBS_RUN: Final = 254
#: type, sequence, priority, epoch.
HEADER_BYTES: Final = 4
CRC_BYTES: Final = 4
#: The most any frame carries: the prefix of a query or of its reply, and 4,096 grid values. A board may take or send
#: less (register ``limits``).
PAYLOAD_MAX: Final = 8200
BODY_MIN: Final = HEADER_BYTES + CRC_BYTES
BODY_MAX: Final = HEADER_BYTES + PAYLOAD_MAX + CRC_BYTES
#: Bytes between two delimiters: one code byte each full run, and one more, which an encoder may also add where the last
#: run is full.
ENCODED_MAX: Final = BODY_MAX + BODY_MAX // COBS_RUN + 1

#: Added to the type of a request in its reply.
REPLY: Final = 0x80
#: Type of the reply to any request that is refused.
ERROR: Final = 0xFF

#: What a window is by default, and at most: with half the sequence numbers, old and new cannot be confused.
WINDOW: Final = 8
WINDOW_MAX: Final = 128
#: The epoch after a reset, and from the beginning of a load on.
EPOCH_RESET: Final = 0
EPOCH_MAX: Final = 255

#: Bytes before the data of READ, WRITE, LOAD and QUERY requests and of QUERY replies.
PREFIX_BYTES: Final = 4
#: Bit of a LOAD's offset: this block ends the load.
LOAD_FINAL: Final = 1 << 31
#: Values of a QUERY's ``format``, and the bits of the register ``formats`` (1 << value).
FORMAT_PACKED: Final = 0
FORMAT_GRID: Final = 1
#: A result: id u16, score i32.
RESULT_BYTES: Final = 6
#: The most rows a board's store has, since an id is a u16.
ROWS_MAX: Final = 1 << 16


class Kind(IntEnum):
    """Types of requests; a reply has `REPLY` added, or is `ERROR`."""

    IDENTIFY = 0x01
    READ = 0x02
    WRITE = 0x03
    LOAD = 0x04
    QUERY = 0x05
    STATISTICS = 0x06
    RESET = 0x07


class Fault(IntEnum):
    """Codes of an ERROR reply. A request that is refused has changed nothing."""

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


#: Code -> why a request is refused, and what the detail is.
FAULTS: Final = MappingProxyType(
    {
        Fault.KIND: ("no such type of request", "0"),
        Fault.LENGTH: ("the payload is too short, too long, or not what its prefix says", "its length in bytes"),
        Fault.ADDRESS: ("no register there, or not one that may be written", "the first such word address"),
        Fault.OFFSET: ("a LOAD that does not continue where the last one ended", "the offset at which it may continue"),
        Fault.STORE: ("a LOAD past the end of the store", "size of the store in bytes"),
        Fault.ROW: ("a final LOAD that does not end with a row", "bytes since the end of the last row"),
        Fault.EMPTY: ("a QUERY while nothing is loaded", "0"),
        Fault.EPOCH: ("a QUERY for another epoch", "the board's epoch"),
        Fault.K: ("a QUERY for 0 results or more than the board gives", "the register `k`"),
        Fault.FORMAT: ("a QUERY in a format that the board does not take", "the register `formats`"),
        Fault.REPLY: ("the reply would be longer than the board can send", "the limit in bytes"),
    }
)


#: Kind -> checks in the order in which a board does them, each with its condition; the first that fails is answered.
#: `Fault.KIND` comes before all.
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
    }
)


@dataclass(frozen=True)
class Frame:
    """One frame, decoded.

    Attributes
    ----------
    kind : int
        The type: a `Kind`, a `Kind` + `REPLY`, or `ERROR`; anything else is a type that no reader knows.
    sequence : int
        0 to 255. A reply has its request's.
    priority : int
        0 to 255, 0 where it does not matter. Boards echo it and serve requests in the order of arrival.
    epoch : int
        Of a QUERY: the epoch that it is meant for. Of any other request: 0. Of a reply: the board's.
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
    """A part of a payload.

    Attributes
    ----------
    name : str
        What the fixtures and the codecs call it.
    type : str
        ``u8``, ``u16``, ``u32``, ``i16`` or ``i32``; with ``[]`` as many as there is room for.
    doc : str
        What it is.
    """

    name: str
    type: str
    doc: str


@dataclass(frozen=True)
class Command:
    """A request and its reply.

    Attributes
    ----------
    kind : Kind
        Type of the request.
    request, reply : tuple of Field
        The payloads, in order, with nothing between the fields.
    doc : str
        What the board does.
    """

    kind: Kind
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    doc: str


#: Payload of an ERROR reply.
ERROR_PAYLOAD: Final = (
    Field("code", "u8", "why, one of the codes below"),
    Field("kind", "u8", "type of the request"),
    Field("zero", "u16", "0"),
    Field("detail", "u32", "depends on the code"),
)

COMMANDS: Final = (
    Command(
        Kind.IDENTIFY,
        (Field("nonce", "u32", "any number; a new one each time"),),
        (Field("nonce", "u32", "the same number"), Field("words", "u32[]", "the identity registers, in order")),
        "Begins a conversation: the board forgets the replies that it keeps, so that no request of this client is "
        "taken for the repeat of another client's. Never answered from the kept replies; changes nothing else.",
    ),
    Command(
        Kind.READ,
        (Field("address", "u16", "word address of the first register"), Field("count", "u16", "registers, 1 or more")),
        (Field("words", "u32[]", "count words"),),
        "Reads registers that follow one another. Addresses without a register are refused. The two halves of a 64-bit "
        "counter that are read by one request belong together.",
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
            Field("offset", "u32", "bits 30..0: where the block begins, in bytes from the first row; bit 31: final"),
            Field("data", "u8[]", "1 byte or more of packed nits, rows one after another without a gap"),
        ),
        (Field("next", "u32", "where the next block begins: 0 after a final one"),),
        "Fills the store, in blocks of any size, in order. A block at offset 0 begins a load, whatever came before: it "
        "sets rows and epoch to 0 and restarts load_check. A final block sets rows to the number of rows loaded. "
        "A row is dimensions / 2 bytes.",
    ),
    Command(
        Kind.QUERY,
        (
            Field("format", "u8", "0: packed nits, dimensions / 2 bytes a query; 1: grid values, i16, 2 x dimensions"),
            Field("count", "u8", "queries, 1 or more"),
            Field("k", "u16", "results a query, 1 to the board's k"),
            Field("data", "u8[]", "the queries, one after another"),
        ),
        (
            Field("zero", "u8", "0"),
            Field("count", "u8", "queries, as asked"),
            Field("results", "u16", "results a query: the smaller of k and rows"),
            Field("found", "(u16 id, i32 score)[]", "count x results, best first, the lower id first of equal scores"),
        ),
        "Scores each query against all rows. The epoch in the request's header must be the board's.",
    ),
    Command(
        Kind.STATISTICS,
        (),
        (Field("words", "u32[]", "the statistics registers, in order, all at one moment"),),
        "Reads the counters and the temperature.",
    ),
    Command(
        Kind.RESET,
        (),
        (),
        "Empties the store (rows and epoch 0), sets thresholds and counters to what they are after power-on, and "
        "forgets the kept replies. The reply is sent after that.",
    ),
)
