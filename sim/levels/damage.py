"""Damage of frames on their way: a flipped bit, bytes lost or more of them, the end missing."""

from __future__ import annotations

import numpy as np

__all__ = ["damaged"]


def damaged(random: np.random.Generator, frame: bytes) -> bytes:
    """Return the bytes of a frame, its delimiter at the end, with one fault drawn.

    The fault is a flipped bit, a frame cut short, bytes lost within it, its delimiter lost, or garbage before it.
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
