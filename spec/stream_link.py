"""Requests of boards of design stream, beside those in ``ninefold.spec.link`` that all boards accept."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from .link import Fault, Field, Kind

__all__ = [
    "STREAM_CHECKS",
    "STREAM_CODE",
    "STREAM_COMMANDS",
    "STREAM_FAULTS",
    "STREAM_KINDS",
    "TURNS",
    "StreamCommand",
    "StreamFault",
    "StreamKind",
]

#: Value of the register ``design``.
STREAM_CODE: Final = 2
#: Number of values of a turn; 0 follows the largest.
TURNS: Final = 256


class StreamKind(IntEnum):
    """More types of requests, as `Kind`."""

    PUSH = 0x10
    PULL = 0x11


#: The types of requests that these boards accept; they refuse all others with `Fault.KIND`.
STREAM_KINDS: Final = (Kind.IDENTIFY, Kind.READ, Kind.WRITE, Kind.STATISTICS, Kind.RESET, *StreamKind)


class StreamFault(IntEnum):
    """More codes of an ERROR reply, as `Fault`."""

    TURN = 16
    STREAM = 17
    ROOM = 18


#: As `ninefold.spec.link.FAULTS`.
STREAM_FAULTS: Final = MappingProxyType(
    {
        StreamFault.TURN: (
            "a PUSH or PULL out of turn, as after a lost one; the refusal is not kept",
            "the register `turn`",
        ),
        StreamFault.STREAM: ("a PUSH to a stream that is no input, or a PULL from one that is no output", "its number"),
        StreamFault.ROOM: ("a PUSH of more payloads than the queue has room for", "the number of free payloads"),
    }
)

#: As `ninefold.spec.link.CHECKS`.
STREAM_CHECKS: Final[Mapping[StreamKind, tuple[tuple[Fault | StreamFault, str], ...]]] = MappingProxyType(
    {
        StreamKind.PUSH: (
            (Fault.LENGTH, "the payload is less than 4 bytes"),
            (StreamFault.TURN, "turn is not the register `turn`"),
            (StreamFault.STREAM, "the stream is not the number of an input"),
            (StreamFault.ROOM, "count is more than the free payloads of the stream"),
            (Fault.LENGTH, "the payload is not 4 + count x the bytes of a payload of the stream"),
        ),
        StreamKind.PULL: (
            (Fault.LENGTH, "the payload is not 4 bytes"),
            (StreamFault.TURN, "turn is not the register `turn`"),
            (StreamFault.STREAM, "the stream is not the number of an output"),
        ),
    }
)


@dataclass(frozen=True)
class StreamCommand:
    """Request and its reply, as `ninefold.spec.link.Command`."""

    kind: StreamKind
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    doc: str


STREAM_COMMANDS: Final = (
    StreamCommand(
        StreamKind.PUSH,
        (
            Field("stream", "u8", "number of the input"),
            Field("turn", "u8", "the board's register `turn`"),
            Field("count", "u16", "number of payloads, 0 or more"),
            Field("data", "u8[]", "count payloads"),
        ),
        (),
        "Appends payloads to the queue of an input: all of them, or none if one does not fit. Then `turn` counts on.",
    ),
    StreamCommand(
        StreamKind.PULL,
        (
            Field("stream", "u8", "number of the output"),
            Field("turn", "u8", "the board's register `turn`"),
            Field("count", "u16", "maximum number of payloads to return"),
        ),
        (
            Field("stream", "u8", "as in the request"),
            Field("turn", "u8", "as in the request"),
            Field("count", "u16", "number of payloads returned"),
            Field("data", "u8[]", "count payloads"),
        ),
        "Takes the oldest payloads from the queue of an output: as many as are there, as the request allows, and as "
        "fit in a reply. Then `turn` counts on.",
    ),
)
