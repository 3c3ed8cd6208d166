"""``calibrate`` on the CPU."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import Selection
from ninefold.spec.data import Answer
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CALIBRATION
from ninefold.spec.signature import Call

from .engine import blocks
from .mine import nearest

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "run"]

#: High: the C++ kernel searches.
RATING = 8

#: Rows of the sample scored together, so that the sums of `CALIBRATION.rows` rows stay in the processor's cache.
_COLUMNS = 512


def run(device: "CpuDevice", call: Call) -> Answer:
    """Choose the scale with which a search of nits finds most of the exact nearest rows."""
    sample, mode = np.asarray(call.arguments["sample"]), call.options["mode"]
    with device.timed() as metrics:
        if not np.isfinite(sample).all():
            raise InputError("the sample must be finite, but contains an infinity")
        sigma = float(np.std(sample.astype(np.float64)))
        if sigma == 0:
            raise InputError("the sample must vary: its standard deviation is 0")
        count = min(CALIBRATION.rows, len(sample))
        rows = np.sort(np.random.default_rng(CALIBRATION.seed).choice(len(sample), count, replace=False))
        # Each row is among its own best k + 1; otherwise the last is dropped.
        k = min(CALIBRATION.k + 1, len(sample))
        truth = _without_itself(_exact(sample, rows, k), rows)
        candidates = [c / sigma for c in CALIBRATION.multiples[mode]]
        found = []
        for scale in candidates:
            nits = quantise(sample, scale, mode)
            ids = _without_itself(nearest(device.engine, nits[rows], pack(nits), k)[0], rows)
            found.append(int((ids[:, :, None] == truth[:, None, :]).sum()))
        best = candidates[found.index(max(found))]
    return Answer({"scale": np.float64(best)}, device.path, metrics)


def _exact(sample: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the ids (R, k) of the largest dot products, summed in float64 in index order, ties by id."""
    queries = sample[rows].astype(np.float64)
    selection = Selection(len(rows), k, np.float64)
    for part in blocks(len(sample), _COLUMNS):
        columns = np.ascontiguousarray(sample[part].T, np.float64)
        total = np.zeros((len(rows), columns.shape[1]))
        product = np.empty_like(total)
        for d, column in enumerate(columns):
            np.multiply(queries[:, d, None], column, out=product)
            total += product
        selection.offer(total, part.start)
    return selection.ids


def _without_itself(ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Drop from each list (R, k) the row itself, or the last entry if it is missing; return (R, k - 1)."""
    other = ids != rows[:, None]
    other[other.all(axis=1), -1] = False
    return np.asarray(ids[other].reshape(len(ids), -1))
