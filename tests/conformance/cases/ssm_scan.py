"""Cases of ``ssm_scan``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["cases"]

Array = npt.NDArray[Any]


def model(rng: np.random.Generator, sizes: tuple[int, ...], radius: float, kind: Any = np.float32) -> dict[str, Array]:
    """Return arguments for (sequences, steps, inputs, states, outputs), with A of a spectral radius."""
    sequences, steps, inputs, states, outputs = sizes

    def drawn(*shape: int) -> Array:
        parts = rng.normal(size=(2, *shape))
        return parts[0] + 1j * parts[1] if kind is np.complex64 else parts[0]

    a = drawn(states, states)
    a = a * radius / np.abs(np.linalg.eigvals(a)).max()
    arrays = {"x": drawn(sequences, steps, inputs), "A": a, "B": drawn(states, inputs), "C": drawn(outputs, states)}
    return {name: array.astype(kind) for name, array in {**arrays, "h0": drawn(sequences, states)}.items()}


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["ssm_scan"].bind
    real, complex_ = model(rng, (3, 70, 2, 5, 3), 0.9), model(rng, (3, 45, 2, 5, 3), 0.95, np.complex64)
    yield "real", bind(real)
    yield "complex", bind(complex_)
    yield "no first state", bind({name: x for name, x in complex_.items() if name != "h0"})
    yield "complex inputs alone", bind({**real, "x": real["x"] * np.complex64(1j)})
    yield "a complex first state alone", bind({**real, "h0": real["h0"] * np.complex64(1 - 1j)})
    yield "growing tenfold", bind(model(rng, (2, 20, 3, 7, 2), 10.0))
    yield "many states", bind(model(rng, (2, 33, 9, 75, 41), 0.99))
    yield "many steps", bind(model(rng, (2, 1100, 1, 2, 1), 0.999, np.complex64))
    undamped = {"A": np.array([[0, -1], [1, 0]], np.float32), "B": np.eye(2, dtype=np.float32)}
    pulse = np.zeros((1, 50, 2), np.float32)
    pulse[0, 0, 0] = 1
    yield "an impulse that turns", bind({**undamped, "C": np.array([[1, 2]], np.float32), "x": pulse})
    yield "no response", bind({**undamped, "C": np.array([[0, -0.0]], np.float32), "x": pulse})
    yield "zero factors", bind({**{name: x * 0 for name, x in real.items()}, "x": real["x"]})
    tiny = {name: (x * np.float32(1e-15)) if name in ("x", "h0") else x for name, x in real.items()}
    yield "small numbers", bind(tiny)
    yield "every second", bind({**real, "x": real["x"][:, ::-2], "A": real["A"].T, "C": real["C"][::2]})
    yield "one of each", bind(model(rng, (1, 1, 1, 1, 1), 0.5))
    yield "no steps", bind({**complex_, "x": complex_["x"][:, :0]})
    yield "no sequences", bind({**real, "x": real["x"][:0], "h0": real["h0"][:0]})
