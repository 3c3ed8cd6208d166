"""Golden model of ``calibrate``."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError
from ninefold.spec.formats import CALIBRATION, Mode
from ninefold.spec.signature import Call

from .quantise import quantise
from .similarity import similarity

__all__ = ["best", "calibrate", "exact_scores", "run"]


def exact_scores(rows: npt.NDArray[np.float32], sample: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the dot products (R, N), summed in float64 in index order for the same result on every machine."""
    total = np.zeros((len(rows), len(sample)))
    for d in range(sample.shape[1]):
        total += rows[:, d].astype(np.float64)[:, None] * sample[:, d].astype(np.float64)[None, :]
    return total


def best(scores: npt.NDArray[Any], itself: int, k: int) -> set[int]:
    """Return the ids of the k largest scores except the row itself; ties go to the lower id."""
    values = scores.tolist()
    return set(sorted((i for i in range(len(values)) if i != itself), key=lambda i: (-values[i], i))[:k])


def calibrate(sample: npt.NDArray[np.float32], mode: Mode) -> float:
    """Return the scale c / sigma whose nit search has the highest recall of the exact k nearest."""
    sigma = float(np.std(sample.astype(np.float64)))
    if sigma == 0:
        raise InputError("the sample must vary: its standard deviation is 0")
    n, k = len(sample), CALIBRATION.k
    rng = np.random.default_rng(CALIBRATION.seed)
    rows = sorted(rng.choice(n, min(CALIBRATION.rows, n), replace=False).tolist())
    exact = exact_scores(sample[rows], sample)
    truth = [best(exact[i], row, k) for i, row in enumerate(rows)]
    found: list[int] = []
    for c in CALIBRATION.multiples[mode]:
        nits = quantise(sample, c / sigma, mode)
        scores = similarity(nits[rows], nits)
        found.append(sum(len(best(scores[i], row, k) & truth[i]) for i, row in enumerate(rows)))
    return CALIBRATION.multiples[mode][found.index(max(found))] / sigma


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call."""
    return {"scale": np.float64(calibrate(call.arguments["sample"], call.options["mode"]))}
