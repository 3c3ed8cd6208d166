"""Cases of ``heterodyne``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.operators.heterodyne import PHASE_MAX
from ninefold.spec.signature import Call

__all__ = ["cases"]


def waves(rng: np.random.Generator, rows: int, columns: int, rate: float, time: float) -> dict[str, npt.NDArray[Any]]:
    a, b = rng.normal(size=(2, rows, columns, 2)).astype(np.float32).view(np.complex64)[..., 0]
    wa, wb = rng.uniform(-rate, rate, (2, columns))
    return {"a": a, "b": b, "wa": wa, "wb": wb, "t": rng.uniform(0, time, rows)}


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["heterodyne"].bind
    drawn = waves(rng, 31, 300, 50.0, 9.0)
    yield "random", bind(drawn)
    yield "the largest phases", bind(waves(rng, 40, 50, PHASE_MAX / 2 / 64, 63.9))
    yield "long times", bind(waves(rng, 40, 50, 0.5, PHASE_MAX))
    yield "equal frequencies", bind({**drawn, "wb": drawn["wa"]})
    yield "no frequencies", bind({**drawn, "wa": np.zeros(300), "wb": np.full(300, -0.0)})
    yield "before 0", bind({**drawn, "t": -drawn["t"]})
    # Eighths of turns, where one polynomial ends and another begins.
    eighths = np.arange(-16, 17) * np.pi / 4
    turned = {"wa": np.array([1, 1 + 2**-40, 1 - 2**-40, 0.5]), "wb": np.array([0, 0, 0, 0.5]), "t": eighths}
    ones = {"a": np.ones((33, 4), np.complex64), "b": np.full((33, 4), 1j, np.complex64)}
    yield "eighths of turns", bind({**ones, **turned})
    edges = np.array([[0, -0.0, 1e-45, 1e-20j, 1, -1j, 4e18, complex(-0.0, -4e18)]], np.complex64)
    crossed = {"a": np.repeat(edges, 8, axis=1), "b": np.tile(edges, (1, 8))}
    some = {"wa": np.linspace(0, 5, 64), "wb": np.linspace(3, -3, 64), "t": np.array([1.5])}
    yield "edges crossed", bind({**crossed, **some})
    rows, columns = {"a", "b", "t"}, {"a", "b", "wa", "wb"}
    yield "one row", bind({name: x[:1] if name in rows else x for name, x in drawn.items()})
    yield "one column", bind({name: x[..., :1] if name in columns else x for name, x in drawn.items()})
    strided = {name: x[::2] if name in rows else x for name, x in drawn.items()}
    yield "every second", bind({name: x[..., ::3] if name in columns else x for name, x in strided.items()})
    yield "no rows", bind({name: x[:0] if name in rows else x for name, x in drawn.items()})
    yield "no columns", bind({name: x[..., :0] if name in columns else x for name, x in drawn.items()})
