"""The Pareto front of points with several values, each to be as small as possible."""

import math
from collections.abc import Sequence

__all__ = ["by_compromise", "nondominated"]


def nondominated(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of the points that no other one dominates, in order.

    One point dominates another if it is nowhere worse and somewhere better. Of equal points none dominates the other.

    Parameters
    ----------
    costs : sequence of sequence of float
        One value an objective for each point, finite, smaller is better.
    """
    front: list[int] = []
    # A point can be dominated only by one that is sorted before it.
    for index in sorted(range(len(costs)), key=lambda i: tuple(costs[i])):
        if not any(_dominates(costs[other], costs[index]) for other in front):
            front.append(index)
    return sorted(front)


def by_compromise(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of points, the best compromise first.

    Each objective is scaled to the range that the points span, 0 at the best of them and 1 at the worst; the point
    closest to the best in all objectives, by Euclidean distance, comes first. Of equals the first comes first.
    """
    lows = [min(column) for column in zip(*costs, strict=True)]
    spans = [max(column) - low for column, low in zip(zip(*costs, strict=True), lows, strict=True)]

    def distance(index: int) -> float:
        scaled = ((c - low) / span for c, low, span in zip(costs[index], lows, spans, strict=True) if span)
        return math.hypot(*scaled)

    return sorted(range(len(costs)), key=distance)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)
