"""Vectors of the decoder of the Hilbert curve: random indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.sim.golden.hilbert_inverse import point_of
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.feed_forward import FunctionCore
from ninefold.sim.levels.search import computed
from ninefold.sim.testbench.fields import join

__all__ = ["HilbertDecoderCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain indices, and a sequence of operations after them."""
    return HilbertDecoderCase("hilbert_decoder", parameters, seed).case(vectors, steps)


class HilbertDecoderCase(FunctionCore):
    """Case with random indices."""

    def draw(self) -> Record:
        width = self.given["dimensions"] * self.given["bits"]
        return {"index": int(self.random.integers(0, 1 << width, dtype=np.uint64))}

    def model(self, element: Record) -> Record:
        return self._joined(point_of(element["index"], self.given["dimensions"], self.given["bits"]))

    def compute(self, elements: Sequence[Record]) -> Sequence[Record]:
        index = np.array([element["index"] for element in elements], np.uint64)
        options = {name: self.given[name] for name in ("dimensions", "bits")}
        return [
            self._joined(point) for point in computed("hilbert_inverse", {"index": index}, **options)["coords"].tolist()
        ]

    def _joined(self, point: Sequence[int]) -> Record:
        return {"coords": join((coordinate, self.given["bits"]) for coordinate in point)}
