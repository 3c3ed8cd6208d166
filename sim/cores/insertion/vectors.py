"""Vectors of top-k by insertion, shared with the top-k core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ninefold.sim.cores.topk.vectors import TopKCase
from ninefold.sim.levels.case import Case

__all__ = ["case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return TopKCase("insertion", parameters, seed).case(vectors, steps)
