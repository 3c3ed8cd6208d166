"""Placement of lists in tiers by a policy, and the hit rates of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError
from ninefold.spec.formats import K_MAX
from ninefold.spec.options import integer

from .policies import Policy

__all__ = ["HitRates", "Placement", "Tier", "TierSizes", "replay", "similar_lists"]

#: Lists that a miss prefetches, and the cosine of centroids that they need.
PREFETCHED: Final = 3
SIMILAR: Final = 0.7

_Ids = npt.NDArray[np.int64]


class Tier(IntEnum):
    """Place of a list, the fastest first."""

    HOT = 0
    WARM = 1
    COLD = 2


@dataclass(frozen=True)
class TierSizes:
    """Number of lists in the hot tier and in the warm tier; the cold tier has all lists."""

    hot: int = 32
    warm: int = 256

    def __post_init__(self) -> None:
        for name in ("hot", "warm"):
            integer(f"the number of {name} lists", getattr(self, name))
        if not 1 <= self.hot <= K_MAX:
            raise InputError(f"the hot tier must have 1 to {K_MAX} lists, not {self.hot}")
        if self.warm < 1:
            raise InputError(f"the warm tier must have at least 1 list, not {self.warm}")

    def check(self, lists: int) -> None:
        """Raise `InputError` if the two tiers have more lists than there are."""
        if self.hot + self.warm > lists:
            raise InputError(f"the tiers must have at most all {lists} lists, not {self.hot} hot and {self.warm} warm")


class Placement:
    """Tier of each list: few in the hot tier, more in the warm tier, all others only in the cold one.

    Parameters
    ----------
    policy : Policy
        Order of the lists.
    lists : int
        Number of lists.
    sizes : TierSizes
        Sizes of the tiers.
    similar : int64 array of shape (lists, n), optional
        Lists that a miss of each list prefetches, as `similar_lists` returns them; none by default.
    """

    def __init__(self, policy: Policy, lists: int, sizes: TierSizes | None = None, similar: _Ids | None = None) -> None:
        self.sizes = sizes or TierSizes()
        self._policy = policy
        self._similar = similar if similar is not None else np.full((lists, 0), -1, np.int64)
        if len(self._similar) != lists:
            raise InputError(f"similar must have a row for each of {lists} lists, not {len(self._similar)}")
        self._tiers = np.full(lists, Tier.COLD, np.uint8)
        #: Number of lists that came from the cold tier: misses, and prefetched ones.
        self.misses = self.prefetched = 0

    def tier(self, number: int) -> Tier:
        """Return the tier of a list."""
        return Tier(int(self._tiers[number]))

    def put(self, numbers: Sequence[int], tier: Tier) -> None:
        """Put lists in a tier, whichever they are in."""
        self._tiers[np.asarray(numbers, np.int64)] = tier

    def members(self, tier: Tier) -> _Ids:
        """Return the lists of a tier, ascending."""
        return np.flatnonzero(self._tiers == tier)

    def use(self, lists: Sequence[int], vector: npt.NDArray[np.float32], time: float) -> list[Tier]:
        """Return the tiers in which a question finds its lists, and make them and similar ones warm if they are cold.

        Parameters
        ----------
        lists : sequence of int
            Different lists.
        vector : float32 array (D,)
            Vector of the question.
        time : float
            Time in seconds, not before the time of the last question.
        """
        self._policy.touched(lists, vector, time)
        found = [self.tier(number) for number in lists]
        for number, tier in zip(lists, found, strict=True):
            if tier is Tier.COLD:
                self.misses += 1
                self._tiers[number] = Tier.WARM
                near = self._similar[number]
                near = near[(near >= 0) & (self._tiers[near] == Tier.COLD)]
                self.prefetched += len(near)
                self._tiers[near] = Tier.WARM
        self._evict(set(lists))
        return found

    def settle(self) -> None:
        """Move lists between the hot and the warm tier as the policy says; a list that is only cold stays there."""
        wanted = self._policy.hottest(self.sizes.hot)
        wanted = wanted[self._tiers[wanted] != Tier.COLD]
        self._tiers[self._tiers == Tier.HOT] = Tier.WARM
        self._tiers[wanted] = Tier.HOT
        self._evict(set())

    def _evict(self, kept: set[int]) -> None:
        """Drop the warm lists with the smallest ranks that have no room; lists of the question go last."""
        warm = self.members(Tier.WARM)
        if (over := len(warm) - self.sizes.warm) > 0:
            asked = np.isin(warm, list(kept))
            order = np.lexsort((self._policy.ranks()[warm], asked))
            self._tiers[warm[order[:over]]] = Tier.COLD


@dataclass(frozen=True)
class HitRates:
    """Result of `replay`: the shares of uses that found their list in each tier, and the lists read from disk a use."""

    hot: float
    warm: float
    cold: float
    reads: float


def replay(
    placement: Placement,
    lists: npt.NDArray[np.integer[Any]],
    vectors: npt.NDArray[np.float32],
    times: npt.NDArray[np.float64],
    settle_every: int = 1,
) -> HitRates:
    """Send a stream of questions through a placement.

    Parameters
    ----------
    placement : Placement
        Placement to use, and to change.
    lists : int array (N, P)
        Lists that each question uses.
    vectors : float32 array (N, D)
        Vectors of the questions.
    times : float64 array (N,)
        Times in seconds, ascending.
    settle_every : int
        Questions after which lists move between the hot and the warm tier.
    """
    counts = np.zeros(len(Tier), np.int64)
    for number, (used, vector, time) in enumerate(zip(lists.tolist(), vectors, times.tolist(), strict=True), 1):
        for tier in placement.use(used, vector, time):
            counts[tier] += 1
        if number % settle_every == 0:
            placement.settle()
    total = max(1, int(counts.sum()))
    hot, warm, cold = (counts / total).tolist()
    return HitRates(hot, warm, cold, (placement.misses + placement.prefetched) / total)


def similar_lists(centroids: npt.NDArray[np.float32]) -> _Ids:
    """Return for each list the at most 3 others with the most similar centroids, int64 (lists, 3), padded with -1.

    Parameters
    ----------
    centroids : float32 array (lists, D)
        Centroids of any length; similar ones have a cosine above 0.7.
    """
    lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
    unit = centroids / np.where(lengths > 0, lengths, 1)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :PREFETCHED]
    return np.where(np.take_along_axis(cosines, best, axis=1) > SIMILAR, best, -1)
