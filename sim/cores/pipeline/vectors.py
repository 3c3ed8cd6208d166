"""Vectors of the pipeline: queries of grid values, answered by the k best rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.sim.cores.similarity.vectors import StoreCase
from ninefold.sim.golden.quantise import nits_by_thresholds
from ninefold.sim.golden.similarity import similarity
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import (
    best,
    drawn_threshold,
    grid_values,
    mined,
    score_rows,
    vector_words,
)
from ninefold.spec.formats import THRESHOLDS

__all__ = ["PipelineCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return PipelineCase("pipeline", parameters, seed).case(vectors, steps)


class PipelineCase(StoreCase):
    """Case with queries of grid values, answered by the k best rows; thresholds are written between queries."""

    asks, answers = "values", "results"

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._mode, self._k = parameters["mode"], parameters["k"]
        self.full += 3 * self._k
        self._was_reset()

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        return {**super()._operations(), "thresholds": self._write}

    def _was_reset(self) -> None:
        self._thresholds = list(THRESHOLDS[self._mode].reached_at)

    def _write(self) -> None:
        index, value = self.script.some(0, 3), drawn_threshold(self.random)
        self._thresholds[index] = value
        self.script.step({"threshold": [{"index": index, "value": value}]}, {})
        self._ask(2)

    def _queries(self, count: int, *, lost: bool = False) -> tuple[Sequence[Record], Due]:
        grid, rows = grid_values(self.random, (count, self._dimensions), self._thresholds), self.rows
        sent = [word for query in grid for word in vector_words(query, self._lanes, 16, "grid")]
        due: list[tuple[list[Place], Record]] = []
        if lost:
            return sent, due
        for hits in best(similarity(nits_by_thresholds(grid, self._thresholds), rows), self._k):
            came = score_rows([score for _, score in hits], [i for i, _ in hits])
            places = self.places("mine", "query", len(hits))
            due += [([place], row) for place, row in zip(places, came, strict=True)]

        def compute() -> list[Record]:
            return [{"score": s, "id": i} for hits in mined(grid, rows, self._mode, k=self._k) for i, s in hits]

        if self._thresholds == list(THRESHOLDS[self._mode].reached_at):
            self.computed.append((compute, [place for (place,), _ in due]))
        return sent, due
