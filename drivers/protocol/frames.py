"""Encoding of frames, and decoding of a stream of bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ninefold.drivers.protocol import cobs
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.spec.errors import InputError
from ninefold.spec.link import BODY_MAX, BODY_MIN, CRC_BYTES, DELIMITER, ENCODED_MAX, HEADER_BYTES, PAYLOAD_MAX, Frame

__all__ = ["Damage", "Decoder", "decode_body", "encode"]

_CRC = struct.Struct("<I")
_END = bytes([DELIMITER])


@dataclass(frozen=True)
class Damage:
    """Invalid bytes between two delimiters.

    Attributes
    ----------
    reason : str
        Description of the fault.
    size : int
        Number of bytes.
    """

    reason: str
    size: int


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame, including the delimiter.

    Raises
    ------
    InputError
        A header field is outside 0 to 255, or the payload is too long.
    """
    for name in ("kind", "sequence", "priority", "epoch"):
        if not 0 <= getattr(frame, name) <= 255:
            raise InputError(f"{name} must be 0 to 255, not {getattr(frame, name)}")
    if len(frame.payload) > PAYLOAD_MAX:
        raise InputError(f"a payload must have at most {PAYLOAD_MAX} bytes, not {len(frame.payload)}")
    body = bytes((frame.kind, frame.sequence, frame.priority, frame.epoch)) + frame.payload
    return cobs.encode(body + _CRC.pack(zlib.crc32(body))) + _END


def decode_body(encoded: bytes) -> Frame:
    """Decode the bytes between two delimiters.

    Raises
    ------
    ProtocolError
        The frame is damaged; the message describes the fault.
    """
    if len(encoded) > ENCODED_MAX:
        raise ProtocolError(f"{len(encoded)} bytes where a frame has at most {ENCODED_MAX}")
    body = cobs.decode(encoded)
    if not BODY_MIN <= len(body) <= BODY_MAX:
        raise ProtocolError(f"a body of {len(body)} bytes where {BODY_MIN} to {BODY_MAX} are allowed")
    (expected,) = _CRC.unpack_from(body, len(body) - CRC_BYTES)
    found = zlib.crc32(memoryview(body)[:-CRC_BYTES])
    if found != expected:
        raise ProtocolError(f"the CRC is {found:08x} where the frame says {expected:08x}")
    return Frame(body[0], body[1], body[2], body[3], body[HEADER_BYTES:-CRC_BYTES])


class Decoder:
    """Decoder of frames in a stream of bytes, fed in pieces of any size.

    It buffers at most `ENCODED_MAX` bytes and resynchronises at the next delimiter after any garbage.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        # Number of discarded bytes of a frame that is too long.
        self._excess = 0

    @property
    def held_bytes(self) -> int:
        """Number of bytes of the current, incomplete frame, at most `ENCODED_MAX`."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame | Damage]:
        """Return the frames, valid or damaged, that end within `data`; never raise."""
        *ended, rest = bytes(data).split(_END)
        found: list[Frame | Damage] = []
        for piece in ended:
            self._keep(piece)
            if self._held:
                found.append(self._finish())
        self._keep(rest)
        return found

    def _keep(self, piece: bytes) -> None:
        room = ENCODED_MAX - len(self._held)
        self._held += piece[:room]
        self._excess += max(0, len(piece) - room)

    def _finish(self) -> Frame | Damage:
        encoded, excess = bytes(self._held), self._excess
        self._held.clear()
        self._excess = 0
        size = len(encoded) + excess
        if excess:
            return Damage(f"{size} bytes where a frame has at most {ENCODED_MAX}", size)
        try:
            return decode_body(encoded)
        except ProtocolError as error:
            return Damage(str(error), size)
