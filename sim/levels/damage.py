"""Damage to frames in transit: a flipped bit, lost or extra bytes, a missing end."""

from __future__ import annotations

import numpy as np

__all__ = ["damaged"]


def damaged(random: np.random.Generator, frame: bytes) -> bytes:
    """Return the bytes of a frame, including its delimiter, with one random fault.

    The fault is a flipped bit, a truncated frame, lost bytes, a lost delimiter, or garbage before the frame.
    """
    place = int(random.integers(0, len(frame) - 1))
    fault = int(random.integers(0, 5))
    if fault == 0:
        flipped = frame[place] ^ 1 << int(random.integers(0, 8))
        return frame[:place] + bytes([flipped]) + frame[place + 1 :]
    if fault == 1:
        return frame[:place] + b"\0"
    if fault == 2:
        return frame[:place] + frame[place + int(random.integers(1, 9)) :]
    if fault == 3:
        return frame[:-1]
    return random.bytes(int(random.integers(1, 12))) + frame
