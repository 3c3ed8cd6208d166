"""Encoding of frames, and decoding of a stream of bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from ninefold.drivers.protocol import cobs
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.spec.errors import InputError
from ninefold.spec.link import BODY_MAX, BODY_MIN, CRC_BYTES, DELIMITER, ENCODED_MAX, HEADER_BYTES, PAYLOAD_MAX, Frame

__all__ = ["Damage", "Decoder", "encode", "encode_all"]

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
    return encode_all([frame])[0]


def encode_all(frames: Iterable[Frame]) -> list[bytes]:
    """Return the bytes of each frame, as `encode` does; a window of frames at once is faster."""
    return [encoded + _END for encoded in cobs.encode_all([_body(frame) for frame in frames])]


def _body(frame: Frame) -> bytes:
    for name in ("kind", "sequence", "priority", "epoch"):
        if not 0 <= getattr(frame, name) <= 255:
            raise InputError(f"{name} must be 0 to 255, not {getattr(frame, name)}")
    if len(frame.payload) > PAYLOAD_MAX:
        raise InputError(f"a payload must have at most {PAYLOAD_MAX} bytes, not {len(frame.payload)}")
    body = bytes((frame.kind, frame.sequence, frame.priority, frame.epoch)) + frame.payload
    return body + _CRC.pack(zlib.crc32(body))


def _frame(body: bytes | ProtocolError) -> Frame:
    """Return the frame of a decoded body, or raise the reason why there is none."""
    if isinstance(body, ProtocolError):
        raise body
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
        found: list[tuple[bytes, int]] = []
        for piece in ended:
            self._keep(piece)
            if self._held:
                found.append((bytes(self._held), len(self._held) + self._excess))
            self._held.clear()
            self._excess = 0
        self._keep(rest)
        # A frame that is too long is not decoded.
        bodies = iter(cobs.decode_all([encoded for encoded, size in found if size <= ENCODED_MAX]))
        return [_decoded(next(bodies) if size <= ENCODED_MAX else None, size) for _, size in found]

    def _keep(self, piece: bytes) -> None:
        room = ENCODED_MAX - len(self._held)
        self._held += piece[:room]
        self._excess += max(0, len(piece) - room)


def _decoded(body: bytes | ProtocolError | None, size: int) -> Frame | Damage:
    if body is None:
        return Damage(f"{size} bytes where a frame has at most {ENCODED_MAX}", size)
    try:
        return _frame(body)
    except ProtocolError as error:
        return Damage(str(error), size)
