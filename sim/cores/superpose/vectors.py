"""Vectors of the floating-point adder and its nit: pairs of near exponents, and of any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.sim.golden.superpose import Format, nit_of, sum_of
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.feed_forward import FunctionCore
from ninefold.sim.levels.search import computed

__all__ = ["SuperposeCase", "case"]

_FLOAT32 = Format(8, 23)


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain pairs, and a sequence of operations after them."""
    return SuperposeCase("superpose", parameters, seed).case(vectors, steps)


class SuperposeCase(FunctionCore):
    """Case with pairs of numbers that have a sum."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._form = Format(parameters["exponent"], parameters["fraction"])
        if self._form != _FLOAT32:
            e, f = self._form
            self.refused = f"the operator superpose adds float32, not numbers with {e} and {f} bits"

    def draw(self) -> Record:
        form = self._form
        bias = (1 << form.exponent - 1) - 1
        while True:
            # Half of the pairs are near the numbers at which nits change.
            spread = 4 if self.random.random() < 0.5 else 1 << form.exponent
            fields = (bias + self.random.integers(-spread, spread, 2)).clip(0, (1 << form.exponent) - 1).tolist()
            fractions = self.random.integers(0, 1 << form.fraction, 2).tolist()
            signs = self.random.integers(0, 2, 2).tolist()
            a, b = (
                (sign * form.sign) | (field << form.fraction) | fraction
                for sign, field, fraction in zip(signs, fields, fractions, strict=True)
            )
            if sum_of(a, b, form) is not None:
                return {"a": a, "b": b}

    def model(self, element: Record) -> Record:
        total = sum_of(element["a"], element["b"], self._form) or 0  # pairs without a sum are not drawn
        return {"sum": total, "nit": nit_of(total, self._form)}

    def compute(self, elements: Sequence[Record]) -> Sequence[Record]:
        a, b = (np.array([one[name] for one in elements], np.uint32).view(np.float32) for name in ("a", "b"))
        return [{"nit": nit} for nit in computed("superpose", {"a": a, "b": b})["nits"].tolist()]
