"""Spot check of ``wave_step_fixed``."""

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer, State
from ninefold.spec.operators.wave_step_fixed import FRACTION_BITS, ROUNDED_BITS
from ninefold.spec.signature import Call

from .wave_step import boxes, laplacian

__all__ = ["check"]

_Wide = npt.NDArray[np.int64]
_LOW, _HIGH = -(2**31), 2**31 - 1


def _rounded(x: _Wide) -> _Wide:
    """Return x / 2^16, rounded to nearest even by quotient and remainder."""
    quotient, rest = np.divmod(x, 1 << ROUNDED_BITS)
    half = 1 << ROUNDED_BITS - 1
    rounded: _Wide = quotient + ((rest > half) | ((rest == half) & (quotient % 2 == 1)))
    return rounded


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Advance the surroundings of a sampled cell again, if they are few enough."""
    state, arrays = answer.state, call.state().arrays
    if not isinstance(state, State):
        return "it has no next version of the lattice"
    found = boxes(np.shape(arrays["psi"]), call.options["steps"], generator)
    if found is None:
        return ""
    cut, cell, middle = found
    psi, v = (cut(np.asarray(arrays[name])).astype(np.int64) for name in ("psi", "v"))
    a, b, c, t = (call.options[name] for name in "ABCT")
    for _ in range(call.options["steps"]):
        square = np.minimum(psi * psi >> FRACTION_BITS, _HIGH)
        cube = np.clip(square * psi >> FRACTION_BITS, _LOW, _HIGH)
        v = np.clip(v + _rounded(c * laplacian(psi) - a * v + b * cube), _LOW, _HIGH)
        psi = np.clip(psi + _rounded(t * v), _LOW, _HIGH)
    for name, value in (("psi", psi[middle]), ("v", v[middle])):
        if (got := np.asarray(state.arrays[name])[cell]) != value:
            return f"{name} of cell {list(cell)} is {got}, not {value}"
    return ""
