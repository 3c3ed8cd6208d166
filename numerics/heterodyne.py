"""Mixing of waves, in NumPy, and turn rates that devices without double precision can use."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators.heterodyne import GAIN
from ninefold.spec.signature import Call

__all__ = ["heterodyne", "turn_rates", "two_floats"]

_Array = npt.NDArray[Any]
#: Numbers that are mixed at once, so that all of them stay in the cache.
_BLOCK = 1 << 15


def turn_rates(call: Call) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (wa + wb) / 2 pi and |wa - wb| / 2 pi, in turns per second, float64 of shape (D,)."""
    wa, wb = (np.asarray(call.arguments[name]) for name in ("wa", "wb"))
    return (wa + wb) / (2 * pi), np.abs(wa - wb) / (2 * pi)


def two_floats(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return numbers as sums of two float32 numbers each, (len(x), 2): together they hold 48 bits."""
    high = x.astype(np.float32)
    return np.stack([high, (x - high).astype(np.float32)], axis=-1)


def heterodyne(call: Call) -> npt.NDArray[np.complex64]:
    """Return the mixed wave of a checked call, complex64 of shape (N, D)."""
    a, b, t = (np.asarray(call.arguments[name]) for name in ("a", "b", "t"))
    rates = turn_rates(call)
    mixed = np.empty(a.shape, np.complex64)
    rows = max(1, _BLOCK // max(1, a.shape[1]))
    for first in range(0, len(a), rows):
        part = slice(first, first + rows)
        total = np.zeros(a[part].shape, np.complex128)
        for rate, other in zip(rates, (b[part], b[part].conj()), strict=True):
            turns = np.outer(t[part], rate)
            turns -= np.rint(turns)
            total += a[part].astype(np.complex128) * other * np.exp(2j * pi * turns)
        mixed[part] = GAIN * total
    return mixed
