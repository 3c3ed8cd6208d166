"""Decoding of the replies of boards of design stream; invalid bytes raise only `ProtocolError`."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.drivers.protocol.replies import words
from ninefold.spec.link import PAYLOAD_MAX, PREFIX_BYTES, WINDOW_MAX
from ninefold.spec.registers import BY_NAME, IDENTITY, MAGIC, STATISTICS, VERSION
from ninefold.spec.stream_link import STREAM_CODE
from ninefold.spec.streams import CREDIT_BYTES, STREAMS_MAX

__all__ = ["StreamIdentity", "StreamStatistics", "body", "credits", "identity", "pulled", "statistics"]

#: Address of the register ``streams``.
_STREAMS = BY_NAME["dimensions"].address
#: Address of the register ``layout``.
_LAYOUT = BY_NAME["lanes"].address


@dataclass(frozen=True)
class StreamIdentity:
    """Identity that a board of design stream reports.

    Attributes
    ----------
    digest : str
        Digest of the bitstream's inputs, 64 hexadecimal digits.
    inputs, outputs : int
        Number of streams of the core.
    layout : int
        Check of the core's streams and registers (`ninefold.spec.streams.layout_check`).
    window : int
        Maximum number of requests in flight.
    request_max, reply_max : int
        Maximum payload sizes in bytes, at most `PAYLOAD_MAX`; of a reply, with its credits.
    clock_hz : int
        Frequency of the clock, in Hz.
    """

    digest: str
    inputs: int
    outputs: int
    layout: int
    window: int
    request_max: int
    reply_max: int
    clock_hz: int

    @property
    def streams(self) -> int:
        """Number of streams."""
        return self.inputs + self.outputs


@dataclass(frozen=True)
class StreamStatistics:
    """Counters of a board of design stream since its reset: the registers of these names."""

    cycles: int
    crc_errors: int
    dropped: int


def credits(payload: bytes, streams: int) -> tuple[int, ...]:
    """Return the credits at the end of a reply."""
    size = CREDIT_BYTES * streams
    if len(payload) < size:
        raise ProtocolError(f"a reply has {len(payload)} bytes where its credits take {size}")
    return struct.unpack(f"<{streams}H", payload[len(payload) - size :])


def body(payload: bytes, streams: int) -> bytes:
    """Return the payload of a reply without its credits."""
    credits(payload, streams)
    return payload[: len(payload) - CREDIT_BYTES * streams]


def pulled(payload: bytes, stream: int, turn: int, asked: int, size: int) -> bytes:
    """Return the bytes of the payloads in a PULL reply without credits; a payload has `size` bytes."""
    if len(payload) < PREFIX_BYTES:
        raise ProtocolError(f"a PULL reply has at least {PREFIX_BYTES} bytes, not {len(payload)}")
    said, of_turn, count = struct.unpack_from("<BBH", payload)
    if (said, of_turn) != (stream, turn) or count > asked or len(payload) != PREFIX_BYTES + count * size:
        raise ProtocolError(
            f"a PULL reply must hold at most {asked} payloads of {size} bytes of stream {stream} in turn {turn}, not"
            f" {count} in {len(payload) - PREFIX_BYTES} bytes of stream {said} in turn {of_turn}"
        )
    return payload[PREFIX_BYTES:]


def statistics(payload: bytes) -> StreamStatistics:
    """Return the counters of a STATISTICS reply without credits."""
    said = dict(zip(STATISTICS, words(payload, len(STATISTICS)), strict=True))
    low, high, crc_errors, dropped = (
        said[BY_NAME[name].address] for name in ("cycles_low", "cycles_high", "crc_errors", "dropped")
    )
    return StreamStatistics(low | high << 32, crc_errors, dropped)


def identity(payload: bytes) -> StreamIdentity:
    """Return the identity in an IDENTIFY reply, with its nonce and credits, after checking all values."""
    least = 4 + 4 * len(IDENTITY)
    if len(payload) < least:
        raise ProtocolError(f"an IDENTIFY reply has at least {least} bytes, not {len(payload)}")
    said = dict(zip(IDENTITY, words(payload[4:least], len(IDENTITY)), strict=True))
    for name, right in (("magic", MAGIC), ("version", VERSION), ("design", STREAM_CODE)):
        if said[BY_NAME[name].address] != right:
            raise ProtocolError(f"the board reports {name} = {said[BY_NAME[name].address]}, not {right}")
    inputs, outputs = said[_STREAMS] & 0xFF, said[_STREAMS] >> 8
    window, limits = said[BY_NAME["window"].address], said[BY_NAME["limits"].address]
    if not 1 <= inputs + outputs <= STREAMS_MAX:
        raise ProtocolError(f"the board reports streams = {said[_STREAMS]:#x}, which must be 1 to {STREAMS_MAX}")
    if not 1 <= window <= WINDOW_MAX or window & (window - 1):
        raise ProtocolError(f"the board reports window = {window}, which must be a power of two up to {WINDOW_MAX}")
    if len(payload) != least + CREDIT_BYTES * (inputs + outputs):
        raise ProtocolError(f"an IDENTIFY reply with {inputs + outputs} credits has {len(payload)} bytes")
    return StreamIdentity(
        digest=b"".join(said[a].to_bytes(4, "little") for a in BY_NAME["digest"].addresses).hex(),
        inputs=inputs,
        outputs=outputs,
        layout=said[_LAYOUT],
        window=window,
        request_max=min(limits & 0xFFFF, PAYLOAD_MAX),
        reply_max=min(limits >> 16, PAYLOAD_MAX),
        clock_hz=said[BY_NAME["clock_hz"].address],
    )
