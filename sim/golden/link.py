"""Golden model of the link's bytes: stuffing, CRC and frames, from the rules of ``ninefold.spec.link``."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from ninefold.spec.link import COBS_RUN, CRC_BYTES, HEADER_BYTES

__all__ = ["Piece", "Received", "crc32", "encoded", "following", "pieces", "receive", "stuff"]

_POLYNOMIAL = 0xEDB88320


class Piece(NamedTuple):
    """Element of the decoder's output: a byte, or the end of a frame, damaged if it came within a group."""

    byte: int
    end: bool
    damaged: bool


class Received(NamedTuple):
    """Frames received from a stream: the valid ones without their CRC, and counts of the others."""

    frames: list[bytes]
    crc_errors: int
    dropped: int


def crc32(data: bytes) -> int:
    """Return the CRC-32 as zlib defines it, computed bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def following(data: bytes, check: int) -> bytes:
    """Return the four bytes to append to `data` for a message with the CRC-32 `check`."""
    register = check ^ 0xFFFFFFFF
    for _ in range(32):
        # The top bit is the one last shifted out, since the polynomial's top bit is 1.
        register = ((register ^ _POLYNOMIAL) << 1 | 1 if register >> 31 else register << 1) & 0xFFFFFFFF
    return (register ^ crc32(data) ^ 0xFFFFFFFF).to_bytes(CRC_BYTES, "little")


def stuff(frame: bytes) -> bytes:
    """Return a frame with its zeros encoded (COBS), followed by the 0 that ends it."""
    out, run = b"", b""
    open_group = True
    for byte in frame:
        open_group = True
        if byte:
            run += bytes([byte])
        if not byte or len(run) == COBS_RUN:
            out, run, open_group = out + bytes([len(run) + 1]) + run, b"", not byte
    return out + (bytes([len(run) + 1]) + run if open_group else b"") + b"\0"


def encoded(body: bytes) -> bytes:
    """Return the bytes on the link for the header and payload of a frame."""
    return stuff(body + crc32(body).to_bytes(CRC_BYTES, "little"))


def pieces(stream: bytes) -> Iterator[Piece]:
    """Yield the decoder's output for a stream."""
    for ends, group in groupby(stream, lambda byte: byte == 0):
        if ends:
            continue
        data, place, before = bytes(group), 0, COBS_RUN + 1
        while place < len(data):
            # A zero separates groups, except after a full one.
            if before != COBS_RUN + 1:
                yield Piece(0, False, False)
            before = data[place]
            yield from (Piece(byte, False, False) for byte in data[place + 1 : place + before])
            place += before
        yield Piece(0, True, place > len(data))


def receive(stream: bytes, longest: int) -> Received:
    """Return the frames that a receiver accepts from a stream of whole frames.

    Parameters
    ----------
    stream : bytes
        Bytes on the link, ending with 0.
    longest : int
        Maximum payload length in bytes.
    """
    frames, crc_errors, dropped = [], 0, 0
    body = b""
    for piece in pieces(stream):
        if not piece.end:
            body += bytes([piece.byte])
            continue
        sent, check = body[:-CRC_BYTES], body[-CRC_BYTES:]
        if piece.damaged or not 0 <= len(body) - HEADER_BYTES - CRC_BYTES <= longest:
            dropped += 1
        elif crc32(sent) != int.from_bytes(check, "little"):
            crc_errors += 1
        else:
            frames.append(sent)
        body = b""
    return Received(frames, crc_errors, dropped)
