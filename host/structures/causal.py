"""Causal order of events: by time, and of equal times along the Hilbert curve of eight dimensions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

from .curve import indices_of

__all__ = ["DIMENSIONS", "causal_order"]

#: Coordinates of an event; an index has at most 64 bits, so a coordinate has at most 8.
DIMENSIONS: Final = 8


def causal_order(times: npt.NDArray[Any], points: npt.NDArray[Any], bits: int = 8) -> npt.NDArray[np.int64]:
    """Return the order of events by time, then by the Hilbert index of their points, then by row.

    Events of one time that are near each other in space follow each other.

    Parameters
    ----------
    times : integer or float array of shape (N,)
        Time of each event, in any unit. Infinities are allowed, NaN is not. -0.0 equals 0.0.
    points : uint64, uint32 or int64 array of shape (N, 8)
        Place of each event; coordinates from 0 to ``2**bits - 1``.
    bits : int
        Bits of a coordinate, 1 to 8.

    Returns
    -------
    int64 array of shape (N,)
        Rows, the earliest first.

    Raises
    ------
    InputError
        Type, shape or a value is out of range, or a time is NaN.
    """
    times, points = np.asarray(times), np.asarray(points)
    if times.ndim != 1 or times.dtype.kind not in "iuf":
        raise InputError(f"times must be numbers of shape (N,), not {times.dtype} of shape {times.shape}")
    if points.shape != (len(times), DIMENSIONS):
        raise InputError(f"points must have shape ({len(times)}, {DIMENSIONS}), as there are times, not {points.shape}")
    if times.dtype.kind == "f" and (wrong := np.flatnonzero(np.isnan(times))).size:
        raise InputError(f"times must not be NaN: times[{wrong[0]}] is")
    return np.lexsort((indices_of(points, bits), times)).astype(np.int64, copy=False)
