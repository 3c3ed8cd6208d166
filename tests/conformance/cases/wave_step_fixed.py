"""Cases of ``wave_step_fixed``: sequences on lattices of odd and even extents, at the borders of every saturation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ninefold.sim.conformance import Sequence, Step
from ninefold.spec.operators.wave_step_fixed import LATTICE, OPERATOR

__all__ = ["cases"]

LOW, HIGH = -(2**31), 2**31 - 1
MOST = 2**17 - 1
_Ints = npt.NDArray[np.int32]


def sequence(name: str, psi: _Ints, v: _Ints, *options: dict[str, int]) -> tuple[str, Sequence]:
    state = LATTICE.state(name, {"psi": psi, "v": v})
    return name, Sequence(OPERATOR, state, tuple(Step({}, chosen) for chosen in options))


def lattice(rng: np.random.Generator, shape: tuple[int, int], top: int) -> tuple[_Ints, _Ints]:
    psi, v = rng.integers(-top, top, (2, *shape), np.int64, endpoint=True)
    return psi.astype(np.int32), v.astype(np.int32)


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Sequence]]:
    wave = {"A": 300, "B": -5000, "C": 2**14, "T": 2**16}
    for shape in ((1, 1), (1, 5), (7, 1), (2, 3), (3, 8), (8, 8), (16, 8), (5, 37)):
        once, more = {**wave, "steps": 1}, {**wave, "steps": 3}
        yield sequence(f"lattice of {shape[0]} x {shape[1]}", *lattice(rng, shape, 2**26), once, more, {})
    for top, name in ((HIGH, "any numbers"), (40, "small numbers")):
        drawn = [dict(zip("ABCT", rng.integers(-MOST - 1, MOST, 4).tolist(), strict=True)) for _ in range(4)]
        yield sequence(name, *lattice(rng, (8, 8), top), *drawn)
    edges = np.array([LOW, LOW + 1, -1, 0, 1, HIGH - 1, HIGH], np.int32)
    psi, v = (np.ascontiguousarray(one) for one in np.meshgrid(edges, edges))
    for values in ((-MOST - 1,) * 4, (MOST,) * 4, (MOST, -MOST - 1, MOST, -MOST - 1), (0, 0, 0, 0)):
        named = dict(zip("ABCT", values, strict=True))
        yield sequence(f"the ends of all ranges, coefficients {values[0]}, {values[1]}", psi, v, named, named)
    # Products of v and T around halves, of both signs, with even and odd quotients; then the ties themselves.
    halves = (np.arange(-32, 32) * 2**15 // 3).astype(np.int32).reshape(8, 8)
    ties = (np.arange(-32, 32) * 2**15).astype(np.int32).reshape(8, 8)
    for factor in (1, 3, -1, -3, 2**15):
        yield sequence(f"halves, T = {factor}", 0 * halves, halves, {"A": 0, "C": 0, "T": factor})
        moved, damped = {"A": 0, "C": 0, "T": factor}, {"A": factor, "C": 0, "T": 0}
        yield sequence(f"ties, T = {factor}", 0 * ties, ties, moved, damped)
    # Cubes around the saturation of the square, at 2**27.5, and of the cube, at 2**(24 + 7 / 3).
    for border in (round(2 ** (24 + 3.5)), round(2 ** (24 + 7 / 3))):
        near = (border + np.arange(-32, 32)).astype(np.int32).reshape(8, 8)
        cubed = {"A": 0, "B": 2**16, "C": 0, "T": 1}
        yield sequence(f"cubes near {border}", near, np.zeros_like(near), cubed)
        yield sequence(f"cubes near {-border}", -near, np.zeros_like(near), cubed)
