"""Golden model of ``wave_step_fixed``, in Python's integers of any size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ninefold.spec.formats import INT32_MIN
from ninefold.spec.operators.wave_step_fixed import FRACTION_BITS, ROUNDED_BITS
from ninefold.spec.signature import Call

__all__ = ["Coefficients", "advance", "cell", "step"]

_MAX = -INT32_MIN - 1
#: A, B, C and T.
Coefficients = tuple[int, int, int, int]


def _saturated(x: int) -> int:
    return max(INT32_MIN, min(_MAX, x))


def _rounded(x: int) -> int:
    """Return x / 2**16, rounded to the nearest integer, of two to the even one."""
    return (x + (1 << (ROUNDED_BITS - 1)) - 1 + ((x >> ROUNDED_BITS) & 1)) >> ROUNDED_BITS


def cell(psi: int, v: int, neighbours: Sequence[int], coefficients: Coefficients) -> tuple[int, int]:
    """Return psi and v of one cell after a step, from the old psi of the cell and of its four neighbours."""
    a, b, c, t = coefficients
    lap = sum(neighbours) - 4 * psi
    sq = min(psi * psi >> FRACTION_BITS, _MAX)
    cube = _saturated(sq * psi >> FRACTION_BITS)
    v = _saturated(v + _rounded(c * lap - a * v + b * cube))
    return _saturated(psi + _rounded(t * v)), v


def advance(
    psi: list[list[int]], v: list[list[int]], coefficients: Coefficients
) -> tuple[list[list[int]], list[list[int]]]:
    """Return psi and v of all cells after a step."""
    height, width = len(psi), len(psi[0])
    after = [
        [
            cell(
                psi[y][x],
                v[y][x],
                (psi[y - 1][x], psi[(y + 1) % height][x], psi[y][x - 1], psi[y][(x + 1) % width]),
                coefficients,
            )
            for x in range(width)
        ]
        for y in range(height)
    ]
    return [[new for new, _ in row] for row in after], [[new for _, new in row] for row in after]


def step(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer a checked call: no values, and the lattice after all steps."""
    arrays = call.state().arrays
    psi, v = arrays["psi"].tolist(), arrays["v"].tolist()
    a, b, c, t = (call.options[name] for name in "ABCT")
    for _ in range(call.options["steps"]):
        psi, v = advance(psi, v, (a, b, c, t))
    return {}, {"psi": np.array(psi, np.int32), "v": np.array(v, np.int32)}
