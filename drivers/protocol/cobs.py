"""Consistent overhead byte stuffing (COBS): removes zero bytes at a cost of one byte per 254.

S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.spec.link import COBS_RUN, DELIMITER

__all__ = ["decode", "encode"]

_ZERO = bytes([DELIMITER])


def encode(body: bytes) -> bytes:
    """Return `body` without zeros and without a delimiter. A full run at the end is not followed by an empty one."""
    parts = []
    *ended, last = body.split(_ZERO)
    for run in ended:
        # The last piece of the run is not full, so it encodes the zero that follows.
        full = len(run) // COBS_RUN * COBS_RUN
        parts += [b"\xff" + run[i : i + COBS_RUN] for i in range(0, full, COBS_RUN)]
        parts.append(bytes([len(run) - full + 1]) + run[full:])
    for start in range(0, max(1, len(last)), COBS_RUN):
        piece = last[start : start + COBS_RUN]
        parts.append(bytes([len(piece) + 1]) + piece)
    return b"".join(parts)


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
    if DELIMITER in encoded:
        raise ProtocolError(f"byte {encoded.index(_ZERO)} of a COBS frame is zero")
    size, position = len(encoded), 0
    parts: list[bytes] = []
    while position < size:
        code = encoded[position]
        end = position + code
        if end > size:
            raise ProtocolError(f"the COBS code {code} at byte {position} points past the frame's {size} bytes")
        parts.append(encoded[position + 1 : end])
        # Neither a full run nor the last one encodes a zero.
        if code <= COBS_RUN and end < size:
            parts.append(_ZERO)
        position = end
    return b"".join(parts)
