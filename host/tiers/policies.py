"""Policies of tiers: lists ordered by momentum, or by the last or the number of uses."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ninefold.numerics.momentum import new_memory
from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.formats import K_MAX
from ninefold.spec.momentum import HOT

if TYPE_CHECKING:
    from ninefold.host.scheduler import Scheduler

__all__ = ["LeastFrequent", "LeastRecent", "Momentum", "Policy"]

#: Half-lives of momentum, and uses that decide which order leads, counted in multiples of the hot tier's size.
_HALVES: Final = (1, 10)
_WINDOW: Final = 8

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


class Policy(Protocol):
    """Order in which lists get and keep their places."""

    def touched(self, lists: Sequence[int], vector: npt.NDArray[np.float32], time: float) -> None:
        """Note that a question, with its vector (D,) and time in seconds, uses some different lists."""
        ...

    def hottest(self, k: int) -> _Ids:
        """Return at most k lists that should be hot, the hottest first."""
        ...

    def ranks(self) -> _Ids:
        """Return a number for each list, int64 (lists,); the smallest ones leave the warm tier first."""
        ...


class LeastRecent:
    """Policy by which the least recently used lists leave first.

    Parameters
    ----------
    lists : int
        Number of lists.
    """

    def __init__(self, lists: int) -> None:
        self._last = np.zeros(lists, np.int64)
        self._now = 0

    def touched(self, lists: Sequence[int], vector: npt.NDArray[np.float32], time: float) -> None:  # noqa: ARG002
        """Note the use of lists."""
        for number in lists:
            self._now += 1
            self._last[number] = self._now

    def hottest(self, k: int) -> _Ids:
        """Return the lists with the largest ranks, of those that were used."""
        ranks = self.ranks()
        return np.argsort(-ranks, kind="stable")[: min(k, int((ranks > 0).sum()))]

    def ranks(self) -> _Ids:
        """Return the last use, counted in uses; 0 before the first."""
        return self._last

    def resume(self, last: Sequence[int]) -> None:
        """Continue with the last uses that `ranks` of an earlier policy returned."""
        self._last = np.array(last, np.int64)
        self._now = int(self._last.max(initial=0))


class LeastFrequent(LeastRecent):
    """Policy by which the least frequently used lists leave first; of equal ones, the least recently used."""

    def __init__(self, lists: int) -> None:
        super().__init__(lists)
        self._count = np.zeros(lists, np.int64)

    def touched(self, lists: Sequence[int], vector: npt.NDArray[np.float32], time: float) -> None:
        """Note the use of lists."""
        super().touched(lists, vector, time)
        self._count[np.asarray(lists, np.int64)] += 1

    def ranks(self) -> _Ids:
        """Return the number of uses, and in the lower 40 bits the last one."""
        return (self._count << 40) + self._last


class Momentum(LeastFrequent):
    """Policy by which the lists with the largest momentum are hot, and the least recently used leave the warm tier.

    Momentum changes only when a list is used, so that lists of an old topic keep theirs. Here it fades between uses,
    counted in uses of any list. No fading suits all streams, so `hottest` follows the best of four orders: momentum
    that halves in 1 or in 10 times as many uses as lists are hot, the last use, and the number of uses. The best one
    would have had the most hits in about the last 8 times as many uses.

    Each list has a row in a momentum memory (``dmi_update``), which stays on a device that the scheduler chooses.
    Vectors are multiplied by sqrt(D): new rows have a length of 0.1 sqrt(D), and a vector of length 1 would need tens
    of updates to turn one.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that runs the operators and holds the memory, until `close`.
    lists, dimensions : int
        Number of lists, and dimensions of the vectors.
    max_age_s : float
        Time in seconds after which the momentum of an unused list fades.
    clean_every : int
        Questions after which momentum is reduced (``dmi_clean``).
    seed : int
        Seed of the memory's rows.
    memory : State, optional
        Memory of an earlier policy, to continue with.

    Attributes
    ----------
    memory : StateHandle
        Handle of the memory.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        lists: int,
        dimensions: int,
        *,
        max_age_s: float = 1000.0,
        clean_every: int = 50,
        seed: int = 0,
        memory: State | None = None,
    ) -> None:
        super().__init__(lists)
        if clean_every < 1:
            raise InputError(f"clean_every must be at least 1, not {clean_every}")
        self._scheduler = scheduler
        self._length = np.float32(math.sqrt(dimensions))
        self._max_age_s, self._clean_every = max_age_s, clean_every
        memory = memory or new_memory(f"tiers {secrets.token_hex(8)}", lists, dimensions, seed=seed)
        if (shape := memory.arrays["rows"].shape) != (lists, dimensions):
            raise InputError(f"the memory must have rows of shape {(lists, dimensions)}, not {shape}")
        self.memory = scheduler.load(memory)
        self._questions = 0
        self._chosen: list[set[int]] = []
        self._hits = np.zeros(len(_HALVES) + 2)
        self._keep = 1.0

    def touched(self, lists: Sequence[int], vector: npt.NDArray[np.float32], time: float) -> None:
        """Update the rows of the lists; see ``dmi_update`` for what it refuses."""
        numbers = np.asarray(lists, np.int64)
        vectors = np.repeat(vector[None] * self._length, len(numbers), axis=0)
        self._scheduler.run("dmi_update", self.memory, numbers, vectors, np.full(len(numbers), float(time)))
        self._questions += 1
        if self._questions % self._clean_every == 0:
            self._scheduler.run("dmi_clean", self.memory, np.array(float(time)), max_age=self._max_age_s)
        for number in lists:
            self._hits *= self._keep
            self._hits[: len(self._chosen)] += [number in chosen for chosen in self._chosen]
        super().touched(lists, vector, time)

    def hottest(self, k: int) -> _Ids:
        """Return at most k lists by the order that would have had the most hits lately."""
        orders = self._orders(k)
        self._chosen, self._keep = [set(order.tolist()) for order in orders], 1 - 1 / (_WINDOW * k)
        return orders[int(self._hits.argmax())]

    def _orders(self, k: int) -> list[_Ids]:
        """Return the k hottest lists by each order, of those that were used."""
        momentum = np.full(len(self._last), HOT / 2)  # of the lists that `dmi_hot` leaves out
        ids, found = self.hottest_momentum(K_MAX)
        momentum[ids] = found
        age = (self._now - self._last).astype(np.float64)
        # Logarithms, since old lists would have a momentum of 0 and be equal.
        faded = [np.log2(momentum) - age / (half * k) for half in _HALVES]
        used = np.flatnonzero(self._last)
        # Of equal ones the first leads.
        ranked: list[npt.NDArray[Any]] = [self._last, *faded, super().ranks()]
        return [used[np.argsort(-ranks[used], kind="stable")[:k]] for ranks in ranked]

    def ranks(self) -> _Ids:
        """Return the last use, counted in uses; 0 before the first."""
        return self._last

    def hottest_momentum(self, k: int) -> tuple[_Ids, npt.NDArray[np.float32]]:
        """Return the lists of `hottest`, and their momentum."""
        values = self._scheduler.run("dmi_hot", self.memory, k=k).values
        count = int(values["count"])
        return np.asarray(values["ids"][:count]), np.asarray(values["momentum"][:count])

    def close(self) -> None:
        """Drop the memory."""
        self._scheduler.unload(self.memory)
