"""Pareto front of points with several values, each to be minimised."""

import math
from collections.abc import Sequence

__all__ = ["by_compromise", "nondominated"]


def nondominated(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of the points that no other point dominates, in ascending order.

    A point dominates another if it is worse in no value and better in at least one. Equal points do not dominate each
    other.

    Parameters
    ----------
    costs : sequence of sequence of float
        For each point, one finite value per objective; smaller is better.
    """
    front: list[int] = []
    # Only points sorted before a point can dominate it.
    for index in sorted(range(len(costs)), key=lambda i: tuple(costs[i])):
        if not any(_dominates(costs[other], costs[index]) for other in front):
            front.append(index)
    return sorted(front)


def by_compromise(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of points, the best compromise first.

    Each objective is scaled so that the best point has 0 and the worst has 1. Points are sorted by Euclidean distance
    from 0 in all objectives; equal distances keep their order.
    """
    lows = [min(column) for column in zip(*costs, strict=True)]
    spans = [max(column) - low for column, low in zip(zip(*costs, strict=True), lows, strict=True)]

    def distance(index: int) -> float:
        scaled = ((c - low) / span for c, low, span in zip(costs[index], lows, spans, strict=True) if span)
        return math.hypot(*scaled)

    return sorted(range(len(costs)), key=distance)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)
