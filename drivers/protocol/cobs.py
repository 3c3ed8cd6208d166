"""Consistent overhead byte stuffing (COBS): removes zero bytes at a cost of one byte per 254.

S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.

A group is a code byte and the bytes before the next zero. Frames of few groups are fastest group by group. Frames of
many groups, such as zeros or small integers, are encoded and decoded together as arrays, without a step for
each group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.spec.link import COBS_RUN, DELIMITER

__all__ = ["decode", "decode_all", "encode", "encode_all"]

_ZERO: Final = bytes([DELIMITER])
#: Code byte of a group by the number of its bytes.
_CODES: Final = [bytes([run + 1]) for run in range(COBS_RUN + 1)]
#: Maximum number of groups of a frame that is treated group by group: this, or one for some bytes.
_FEW: Final = 8
_SPARSE_BYTES: Final = 64
#: Bytes of other frames from which arrays are faster, and bytes at once, whose tables fit a processor's cache.
_MANY_BYTES: Final = 256
_ONCE_BYTES: Final = 1 << 14
#: Groups at once while the groups of a frame are followed, as a power of 2.
_HOPS: Final = 5

Indices = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]


def encode(body: bytes) -> bytes:
    """Return `body` without zeros and without a delimiter. A full run at the end is not followed by an empty one."""
    return encode_all([body])[0]


def encode_all(bodies: Sequence[bytes]) -> list[bytes]:
    """Return the encoding of each body, as `encode` does."""
    found: dict[int, bytes] = {}
    for many in _batches(bodies, [i for i, body in enumerate(bodies) if body.count(DELIMITER) >= _few(body)]):
        found |= zip(many, _encode_arrays([bodies[i] for i in many]), strict=True)
    return [found[i] if i in found else _encode_groups(body) for i, body in enumerate(bodies)]


def decode(encoded: bytes) -> bytes:
    """Undo `encode`.

    Parameters
    ----------
    encoded : bytes
        Bytes between two delimiters, at least one.

    Raises
    ------
    ProtocolError
        There is a zero byte, or a code byte points past the end.
    """
    (body,) = decode_all([encoded])
    if isinstance(body, ProtocolError):
        raise body
    return body


def decode_all(frames: Sequence[bytes]) -> list[bytes | ProtocolError]:
    """Return the body of each frame, or the error that `decode` raises for it."""
    found = [_decode_groups(frame, _few(frame)) for frame in frames]
    for many in _batches(frames, [i for i, body in enumerate(found) if body is None]):
        for i, body in zip(many, _decode_arrays([frames[i] for i in many]), strict=True):
            found[i] = body
    # What is left is small, or damaged.
    return [_decode_groups(frame) or b"" if body is None else body for frame, body in zip(frames, found, strict=True)]


def _few(data: bytes) -> int:
    return max(_FEW, len(data) // _SPARSE_BYTES)


def _batches(data: Sequence[bytes], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Divide frames of many groups into those that are treated at once; yield none if they are small together."""
    if sum(len(data[i]) for i in numbers) < _MANY_BYTES:
        numbers = ()
    batch: list[int] = []
    size = 0
    for i in numbers:
        batch.append(i)
        size += len(data[i])
        if size >= _ONCE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode_groups(body: bytes) -> bytes:
    parts: list[bytes] = []
    *ended, last = body.split(_ZERO)
    for run in ended:
        rest = run
        while len(rest) >= COBS_RUN:
            parts += (_CODES[COBS_RUN], rest[:COBS_RUN])
            rest = rest[COBS_RUN:]
        # This piece is not full, so it encodes the zero that follows.
        parts += (_CODES[len(rest)], rest)
    while len(last) > COBS_RUN:
        parts += (_CODES[COBS_RUN], last[:COBS_RUN])
        last = last[COBS_RUN:]
    return b"".join((*parts, _CODES[len(last)], last))


def _encode_arrays(bodies: Sequence[bytes]) -> list[bytes]:
    """Encode bodies at once: each zero, and one before each body, becomes the distance to the next."""
    data: Bytes = np.frombuffer(bytearray(_ZERO + (2 * _ZERO).join(bodies) + _ZERO), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, bodies), np.intp, len(bodies)) + 2) - 1
    zeros = np.flatnonzero(data == DELIMITER)
    distances = np.diff(zeros)
    data[zeros[:-1]] = distances
    data[ends] = DELIMITER
    long = np.flatnonzero(distances > COBS_RUN)
    if len(long):
        data = _divide(data, zeros[long], distances[long] - 1, np.isin(zeros[long + 1], ends))
    return data.tobytes().split(_ZERO)[:-1]


def _divide(data: Bytes, codes: Indices, runs: Indices, ends: npt.NDArray[np.bool_]) -> Bytes:
    """Insert the codes within long runs, given the place and length of each, and whether it ends its frame."""
    full, rest = np.divmod(runs, COBS_RUN)
    more = full - (ends & (rest == 0))
    owner = np.repeat(np.arange(len(runs)), more)
    number = np.arange(1, len(owner) + 1) - np.repeat(np.cumsum(more) - more, more)
    data[codes] = COBS_RUN + 1
    values = np.where(number < full[owner], COBS_RUN, rest[owner]) + 1
    return np.insert(data, codes[owner] + 1 + COBS_RUN * number, values.astype(np.uint8))


def _decode_groups(encoded: bytes, limit: int | None = None) -> bytes | ProtocolError | None:
    """Decode a frame group by group; return None if there are more groups than `limit`."""
    if DELIMITER in encoded:
        return ProtocolError(f"byte {encoded.index(_ZERO)} of a COBS frame is zero")
    size, position = len(encoded), 0
    parts: list[bytes] = []
    for _ in range(size if limit is None else limit):
        code = encoded[position]
        end = position + code
        if end > size:
            return ProtocolError(f"the COBS code {code} at byte {position} points past the frame's {size} bytes")
        parts.append(encoded[position + 1 : end])
        if end == size:
            return b"".join(parts)
        # Neither a full run nor the last one encodes a zero.
        if code <= COBS_RUN:
            parts.append(_ZERO)
        position = end
    return None


def _decode_arrays(frames: Sequence[bytes]) -> list[bytes | None]:
    """Decode frames without zeros at once; None stands for a frame in which a code points past the end."""
    # The delimiters, and a place after the last one for codes that point past the end.
    data: Bytes = np.frombuffer(bytearray(_ZERO.join(frames) + 2 * _ZERO), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, frames), np.intp, len(frames)) + 1) - 1
    starts = np.concatenate(([0], ends[:-1] + 1))
    codes, whole = _codes(data, starts.tolist(), ends.tolist())
    full = codes[data[codes] == COBS_RUN + 1]
    data[codes] = DELIMITER
    keep = np.ones(len(data), bool)
    # A code encodes a zero, except the first one and those after full runs.
    for dropped in (starts, full + COBS_RUN + 1, ends):
        keep[dropped] = False
    gaps = np.flatnonzero(~keep)
    body = data[keep].tobytes()
    cuts = zip(*((place - np.searchsorted(gaps, place)).tolist() for place in (starts, ends)), strict=True)
    return [body[first:last] if good else None for good, (first, last) in zip(whole, cuts, strict=True)]


def _codes(data: Bytes, starts: Sequence[int], ends: Sequence[int]) -> tuple[Indices, list[bool]]:
    """Return the places of the codes of whole frames, among them delimiters, and whether each frame is whole.

    The place of the code 2**i codes after each place is looked up in the table for 2**(i - 1). A delimiter leads to
    itself.
    """
    hops = [np.arange(len(data)) + data]
    for _ in range(_HOPS):
        hops.append(hops[-1].take(hops[-1], mode="clip"))
    far = hops.pop().data
    anchors: list[int] = []
    whole = []
    for start, end in zip(starts, ends, strict=True):
        place, before = start, len(anchors)
        while place < end:
            anchors.append(place)
            place = far[place]
        whole.append(place == end)
        if place != end:
            del anchors[before:]
    codes = np.empty(len(anchors) << _HOPS, np.intp)
    codes[: len(anchors)] = anchors
    for number, hop in enumerate(reversed(hops)):
        known = len(anchors) << number
        hop.take(codes[:known], out=codes[known : 2 * known], mode="clip")
    return codes, whole
