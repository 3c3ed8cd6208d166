"""Vectors of the encoder of the Hilbert curve: random points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.sim.golden.hilbert import index_of
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.feed_forward import FunctionCore
from ninefold.sim.levels.search import computed
from ninefold.sim.testbench.fields import split

__all__ = ["HilbertEncoderCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain points, and a sequence of operations after them."""
    return HilbertEncoderCase("hilbert_encoder", parameters, seed).case(vectors, steps)


class HilbertEncoderCase(FunctionCore):
    """Case with random points."""

    def draw(self) -> Record:
        width = self.given["dimensions"] * self.given["bits"]
        return {"coords": int(self.random.integers(0, 1 << width, dtype=np.uint64))}

    def model(self, element: Record) -> Record:
        return {"index": index_of(self._point(element), self.given["bits"])}

    def compute(self, elements: Sequence[Record]) -> Sequence[Record]:
        coords = np.array([self._point(element) for element in elements], np.uint64)
        indices = computed("hilbert", {"coords": coords}, bits=self.given["bits"])["index"]
        return [{"index": index} for index in indices.tolist()]

    def _point(self, element: Record) -> list[int]:
        return split(element["coords"], [self.given["bits"]] * self.given["dimensions"])
