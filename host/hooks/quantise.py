"""Spot check of ``quantise``."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, THRESHOLDS, Mode
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["check", "nits_of"]


def nits_of(x: npt.NDArray[Any], scale: float, mode: Mode) -> npt.NDArray[np.int32]:
    """Return the nits of numbers of any shape; written for clarity, to check code written for speed."""
    with np.errstate(over="ignore", under="ignore"):
        y = x.real.astype(np.float32) * np.float32(scale)
    grid = np.clip(np.rint(y.astype(np.float64) * (1 << GRID_FRACTION_BITS)), GRID_MIN, GRID_MAX)
    reached = (np.abs(grid)[..., None] >= np.array(THRESHOLDS[mode].reached_at)).sum(axis=-1)
    found: npt.NDArray[np.int32] = (np.sign(grid) * reached).astype(np.int32)
    return found


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Requantise sampled rows."""
    x, nits = np.asarray(call.arguments["x"]), np.asarray(answer.values["nits"])
    x, nits = x.reshape(-1, x.shape[-1]), nits.reshape(-1, x.shape[-1])
    if not len(x):
        return ""
    rows = generator.integers(len(x), size=SAMPLED_ROWS)
    wrong = np.argwhere(nits[rows] != nits_of(x[rows], call.options["scale"], call.options["mode"]))
    if not len(wrong):
        return ""
    row, column = rows[wrong[0][0]], wrong[0][1]
    return f"the nit of {x[row, column]} is not {nits[row, column]}"
