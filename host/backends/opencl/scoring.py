"""Scores of queries against all rows on the device, read back to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .memory import RowBuffer

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["all_scores"]

#: Bytes of scores on the device at a time.
_BYTES = 1 << 26


def all_scores(
    device: OpenClDevice, parts: list[RowBuffer], nits: npt.NDArray[np.int8], rows: int
) -> npt.NDArray[np.int32]:
    """Return the dot products of queries with all rows.

    Parameters
    ----------
    device : OpenClDevice
        Device that holds the rows.
    parts : list of RowBuffer
        Parts of the database.
    nits : int8 array of shape (Q, D)
        Queries.
    rows : int
        Number of rows of all parts, N.

    Returns
    -------
    int32 array of shape (Q, N)
    """
    kernels = device.kernels(nits.shape[1])
    scores = np.empty((len(nits), rows), np.int32)
    for part in parts if len(nits) else ():
        step = max(1, _BYTES // max(1, 4 * part.count))
        for start in range(0, len(nits), step):
            block = nits[start : start + step]
            out, pitch = kernels.scores(part, block)
            device.launcher.read(out, scores[start : start + len(block), part.first : part.first + part.count], pitch)
    return scores
