"""Common parts of the cases of the search cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.packed import pack
from ninefold.sim.golden.topk import topk
from ninefold.sim.levels.case import Case, Place, Reading, Record
from ninefold.sim.levels.script import Script
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.data import Database
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, NIT_MAX, NIT_MIN
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend
from ninefold.spec.residents import load_and_run

__all__ = [
    "SearchCore",
    "best",
    "computed",
    "drawn_nits",
    "drawn_threshold",
    "grid_values",
    "mined",
    "score_rows",
    "vector_words",
]

#: Maximum number of rows loaded.
_ROWS = 64

_Ints = npt.NDArray[np.integer[Any]]


def computed(operator: str, arguments: Mapping[str, Any], **options: Any) -> Mapping[str, Any]:
    """Return the results of an operator on the processor, by name."""
    device = backend("cpu").open()
    try:
        return load_and_run(device, OPERATORS[operator].bind(arguments, options)).values
    finally:
        device.close()


def grid_values(random: np.random.Generator, shape: tuple[int, ...], thresholds: Sequence[int]) -> _Ints:
    """Return random grid values, most of them near a threshold or a limit of the range."""
    edges = np.array([0, *thresholds, GRID_MAX])
    near = random.choice(edges, shape) + random.integers(-2, 3, shape)
    values = np.where(random.random(shape) < 0.7, near * random.choice([-1, 1], shape), random.integers(-8000, 8001))
    return np.clip(values, GRID_MIN, GRID_MAX)


def best(scores: _Ints, k: int) -> list[list[tuple[int, int]]]:
    """Return the golden model's pairs of id and score for each row."""
    ids, kept, count = topk(scores, k)
    return [[(int(i), int(s)) for i, s in zip(ids[r, :n], kept[r, :n], strict=True)] for r, n in enumerate(count)]


def mined(grid: _Ints, rows: _Ints, mode: str, operator: str = "mine", **options: int) -> list[list[tuple[int, int]]]:
    """Return the processor's pairs of id and score for queries of grid values, by ``mine`` or ``candidates``."""
    packed = pack(rows.astype(np.int8))
    attributes = {"rows": len(rows), "dimensions": rows.shape[1], "scale": 1.0, "mode": mode}
    # Exactly on the grid, so that a scale of 1 rounds nothing.
    queries = (grid / 2**GRID_FRACTION_BITS).astype(np.float32)
    arguments = {"q": queries, "database": Database({"nits": packed}, attributes)}
    values = computed(operator, arguments, **options)
    return [
        [(int(i), int(s)) for i, s in zip(ids[:n], scores[:n], strict=True)]
        for ids, scores, n in zip(values["ids"], values["scores"], values["count"], strict=True)
    ]


def drawn_nits(random: np.random.Generator, rows: int, dimensions: int) -> npt.NDArray[np.int8]:
    """Return random vectors of nits with frequent extremes."""
    values = np.array([NIT_MIN, NIT_MAX, *range(NIT_MIN, NIT_MAX + 1)], np.int8)
    return random.choice(values, (rows, dimensions))


def drawn_threshold(random: np.random.Generator) -> int:
    """Return a random threshold, often small or at a limit of the range."""
    return int(random.choice([0, 1, GRID_MAX, GRID_MAX + 1, 0xFFFF, *random.integers(0, 8000, 10)]))


def score_rows(scores: Sequence[int], ids: Sequence[int]) -> list[Record]:
    """Return the records of a batch, ``last`` on the final one."""
    end = len(scores) - 1
    return [{"score": s, "id": i, "last": int(n == end)} for n, (s, i) in enumerate(zip(scores, ids, strict=True))]


def vector_words(values: _Ints, lanes: int, bits: int, name: str) -> list[Record]:
    """Return a vector as records of `lanes` values, ``last`` on the final one."""
    mask = (1 << bits) - 1
    words = [sum((int(v) & mask) << bits * i for i, v in enumerate(word)) for word in values.reshape(-1, lanes)]
    return [{name: word, "last": int(n == len(words) - 1)} for n, word in enumerate(words)]


class SearchCore:
    """Case of a core: plain vectors, a sequence, and their results on the processor.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : mapping
        Parameters of the core.
    seed : int
        Seed of all vectors.
    """

    #: Maximum number of clock cycles without a beat.
    patience = 10_000
    #: Reason for no results on the processor; empty if it computes them.
    refused = ""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        self.core = core
        self.given = parameters
        streams = {stream.name: stream for stream in streams_of(make_core(core, **parameters))}
        self.script = Script(streams, seed, self._expanded)
        self.random = self.script.random
        self._count = 0
        self.computed: list[tuple[Callable[[], Sequence[Record]], Sequence[Place]]] = []

    def _plain(self, vectors: int) -> None:
        """Add the plain vectors."""
        raise NotImplementedError

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        """Return the operations of a sequence, by description."""
        raise NotImplementedError

    def _fill(self) -> None:
        """Fill the core, reset it, and fill it again."""
        raise NotImplementedError

    def _expanded(self, record: Record) -> Sequence[Record]:
        """Split an output beat into values."""
        return [record]

    def case(self, vectors: int, steps: int) -> Case:
        """Return a case of `vectors` plain vectors and a sequence of `steps` operations."""
        self._plain(vectors)
        self.script.play(steps, self._operations(), self._fill)
        return Case(
            lambda: make_core(self.core, **self.given),
            self.script.steps,
            self.script.read,
            vectors,
            self.refused or self.processor,
            operations=self.script.operations,
            patience=self.patience,
        )

    def processor(self) -> Reading:
        """Compute the results on the processor, as far as it has an operator."""
        return {
            place: values for compute, places in self.computed for place, values in zip(places, compute(), strict=True)
        }

    def places(self, operator: str, called: str, count: int) -> list[Place]:
        """Return the places of the next vector's elements."""
        self._count += 1
        return self.script.places(operator, f"{called} {self._count - 1}", count)
