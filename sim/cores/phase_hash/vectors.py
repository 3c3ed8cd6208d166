"""Vectors of the phase hash: points near the borders of quadrants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.sim.golden.phase_hash import quadrant
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.feed_forward import FunctionCore
from ninefold.sim.levels.search import computed
from ninefold.sim.testbench.fields import join, signed, split
from ninefold.spec.waves import PHASES

__all__ = ["PhaseHashCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain points, and a sequence of operations after them."""
    return PhaseHashCase("phase_hash", parameters, seed).case(vectors, steps)


class PhaseHashCase(FunctionCore):
    """Case with points, of whose parts many are zeros."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._width: int = parameters["width"]
        self._dimensions: int = parameters["dimensions"]
        if not (parameters["floating"] and self._width == 32 and self._dimensions <= PHASES):
            self.refused = f"the operator phase_hash takes at most {PHASES} numbers with parts of float32"

    def draw(self) -> Record:
        sign = 1 << self._width - 1
        parts = []
        for _ in range(2 * self._dimensions):
            one = 1 << int(self.random.integers(0, self._width - 2))
            parts.append(int(self.random.choice([0, sign, one, sign + one])))
        return {"psi": join((part, self._width) for part in parts)}

    def model(self, element: Record) -> Record:
        parts = [self._signed(part) for part in split(element["psi"], [self._width] * 2 * self._dimensions)]
        numbers = enumerate(zip(parts[::2], parts[1::2], strict=True))
        return {"hash": sum(quadrant(re, im) << 2 * d for d, (re, im) in numbers)}

    def compute(self, elements: Sequence[Record]) -> Sequence[Record]:
        size = 8 * self._dimensions
        held = np.frombuffer(b"".join(element["psi"].to_bytes(size, "little") for element in elements), np.complex64)
        psi = np.zeros((len(elements), PHASES), np.complex64)
        psi[:, : self._dimensions] = held.reshape(len(elements), -1)
        return [{"hash": value} for value in computed("phase_hash", {"psi": psi})["hash"].tolist()]

    def _signed(self, bits: int) -> int:
        if not self.given["floating"]:
            return signed(bits, self._width)
        magnitude = bits & ((1 << self._width - 1) - 1)
        return -magnitude if bits >> self._width - 1 else magnitude
