"""Cases of ``wave_attention``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

__all__ = ["cases"]


def attention(rng: np.random.Generator, sizes: tuple[int, int, int, int]) -> dict[str, npt.NDArray[Any]]:
    """Return arguments for (queries, positions, dimensions, values) without times."""
    queries, positions, dimensions, values = sizes

    def drawn(*shape: int) -> npt.NDArray[np.complex64]:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)

    trace = rng.uniform(0, 9, positions).astype(np.float32)
    vectors = {"q": drawn(queries, dimensions), "k": drawn(positions, dimensions), "v": drawn(positions, values)}
    return {**vectors, "trace": trace}


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    bind = OPERATORS["wave_attention"].bind
    drawn = attention(rng, (5, 17, 9, 7))
    times = {"tq": rng.uniform(-1, 1, 5), "tk": rng.uniform(-1, 1, 17)}
    yield "no times", bind(drawn)
    yield "times", bind({**drawn, **times})
    yield "the latest times", bind({**drawn, **{name: x * 1e6 for name, x in times.items()}})
    yield "equal times", bind({**drawn, "tq": np.full(5, 0.25), "tk": np.full(17, 0.25)})
    yield "queries that are keys", bind({**drawn, "q": drawn["k"][:5]})
    yield "opposite keys", bind({**drawn, "k": np.concatenate([drawn["q"]] * 3 + [-drawn["q"][:2]])})
    for scale in (1e-30, 3e-5, 1e5, 1e37):
        yield (
            f"vectors of {scale:g}",
            bind({**drawn, "q": drawn["q"] * np.float32(scale), "k": drawn["k"] * np.float32(scale)}),
        )
    lengths = np.float32(10.0) ** rng.integers(-38, 37, 17).astype(np.float32)
    yield "mixed lengths", bind({**drawn, "k": drawn["k"] * lengths[:, None], "q": drawn["k"][:5] * lengths[:5, None]})
    yield "short queries", bind({**drawn, **times, "q": drawn["q"] * np.float32(1e-4)})
    zero = drawn["k"] * (np.arange(17) % 2)[:, None].astype(np.float32)
    yield "zero vectors", bind({**drawn, **times, "k": zero, "q": zero[:5]})
    yield "zero values", bind({**drawn, "v": drawn["v"] * 0})
    yield "large values", bind({**drawn, "v": drawn["v"] * np.float32(1e37)})
    yield "ends of traces", bind({**drawn, "trace": np.tile(np.array([0, 9], np.float32), 9)[:17]})
    yield "one of each", bind(attention(rng, (1, 1, 1, 1)))
    yield "one position", bind({**attention(rng, (3, 1, 5, 2)), "tq": np.arange(3.0), "tk": np.zeros(1)})
    yield "many positions", bind({**attention(rng, (2, 600, 3, 2)), "tq": np.arange(2.0), "tk": np.linspace(0, 2, 600)})
    strided = {name: drawn[name][::2] for name in ("k", "v", "trace")}
    yield "every second", bind({**drawn, **strided, "q": drawn["q"][::-2]})
    yield "no queries", bind({**drawn, "q": drawn["q"][:0]})
