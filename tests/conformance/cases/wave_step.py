"""Cases of ``wave_step``: sequences in one to nine dimensions, with and without each term."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.conformance import Sequence, Step
from ninefold.spec.operators.wave_step import OPERATOR, WAVE

__all__ = ["cases"]

SHAPES = (
    (1,),
    (2,),
    (3,),
    (5000,),
    (1, 1),
    (7, 1, 6),
    (2, 2049),
    (64, 65),
    (5, 6, 7),
    (2, 2, 2, 2),
    (3, 2, 4, 3, 5),
    (1, 3, 1, 2, 2, 1, 3, 2, 2),
    (2, 2, 2, 2, 3, 2, 2, 2, 3),
)


def wave(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, npt.NDArray[Any]]:
    """Any wave: psi of about 1, and v and a as they may belong to it."""

    def drawn(scale: float) -> npt.NDArray[np.complex64]:
        return (rng.normal(0, scale, shape) + 1j * rng.normal(0, scale, shape)).astype(np.complex64)

    r, s = (rng.random(shape).astype(np.float32) for _ in range(2))
    return {"psi": drawn(1.0), "v": drawn(0.5), "a": drawn(0.5), "r": r, "s": s}


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Sequence]]:
    terms: list[dict[str, Any]] = [
        {"dt": 0.05, "c0": 1.5, "alpha": 0.3, "beta": -0.2},
        {"dt": 0.1, "beta": -0.2, "steps": 2},
        {"dt": 0.1, "alpha": 0.3, "steps": 3},
    ]
    for shape in SHAPES:
        state = WAVE.state(f"wave of {shape}", wave(rng, shape))
        sources = (rng.normal(0, 0.1, shape) + 0.1j).astype(np.complex64)
        steps = [
            Step({}, terms[0]),
            Step({"sources": sources}, terms[1]),
            Step({"sources": sources}, terms[2]),
            Step({}),
        ]
        yield f"extents {shape}", Sequence(OPERATOR, state, tuple(steps))
    still = {name: np.zeros((3, 4), kind) for name, kind in (("psi", np.complex64), ("r", np.float32))}
    zeros = {"psi": still["psi"], "v": still["psi"], "a": still["psi"], "r": still["r"], "s": still["r"]}
    yield "nothing moves", Sequence(OPERATOR, WAVE.state("still", zeros), (Step({}, {"alpha": 1.0, "beta": 1.0}),))
    long = Step({}, {"dt": 0.05, "beta": -0.1, "steps": 300})
    yield "many steps", Sequence(OPERATOR, WAVE.state("long", wave(rng, (12, 10))), (long,))
