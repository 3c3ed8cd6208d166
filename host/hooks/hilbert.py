"""Spot check of ``hilbert``: the way back from an index, level by level."""

from collections.abc import Sequence

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check", "point_at"]


def point_at(index: int, dimensions: int, bits: int) -> list[int]:
    """Return the point at an index along the Hilbert curve; written for clarity, to check code written for speed."""
    digits = [index >> place & 1 for place in range(dimensions * bits)]
    gray = [a ^ b for a, b in zip(digits, [*digits[1:], 0], strict=True)]
    x = [sum(gray[dimensions * (bit + 1) - 1 - i] << bit for bit in range(bits)) for i in range(dimensions)]
    for bit in range(1, bits):
        for i in reversed(range(dimensions)):
            _turn(x, bit, i)
    return x


def _turn(x: list[int], bit: int, i: int) -> None:
    below = (1 << bit) - 1
    if x[i] >> bit & 1:
        x[0] ^= below
    elif i:
        x[0], x[i] = x[0] & ~below | x[i] & below, x[i] & ~below | x[0] & below


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Find the points at the indices of sampled rows."""
    coords, index = np.asarray(call.arguments["coords"]), np.asarray(answer.values["index"])
    if not len(coords):
        return ""
    rows = generator.integers(len(coords), size=SAMPLED_ROWS)
    for point, place in zip(coords[rows].tolist(), index[rows].tolist(), strict=True):
        if flaw := _differs(point, place, call.options["bits"]):
            return flaw
    return ""


def _differs(point: Sequence[int], index: int, bits: int) -> str:
    if index >> len(point) * bits or point_at(index, len(point), bits) != point:
        return f"the index of the point {point} is not {index}"
    return ""
