"""Rows of nits as synapses: one neuron per row, whose firing time in a race gives its dot product with a query."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked, merged

from .chip import Chip
from .network import Activity, Core, Network

__all__ = ["Rows"]

#: Step of the coarse ramp. A first race finds groups of 16 scores that occur, and a second finds the exact scores.
_STRIDE = 16


@dataclass(frozen=True)
class _Page:
    """Rows of one chip.

    Attributes
    ----------
    network : Network
        Network of the chip.
    rows : slice
        Range of the rows.
    longest : int
        Largest sum of squares of a row.
    """

    network: Network
    rows: slice
    longest: int

    def ranked(
        self, query: npt.NDArray[np.int8], k: int, least: int | None = None
    ) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        """Yield falling scores, each with a mask (rows,) of the rows with that score, until at least k rows are found.

        The query is sent twice. A ramp in steps of `_STRIDE` finds the groups of scores that occur, and a ramp in steps
        of 1 then visits only these. Scores below `least` are left out.
        """
        least = -self.network.bound if least is None else least
        # Cauchy-Schwarz bounds the scores of the query, also after only some of its spikes.
        squares = int(np.square(query, dtype=np.int64).sum())
        top = min(isqrt(squares * self.longest), self.network.bound)
        if top < least:
            return
        spikes = _spikes(query)
        stops = []
        found = 0
        for stop, fired in self.network.race(spikes, top, range(top - _STRIDE + 1, least - _STRIDE, -_STRIDE)):
            stops += [stop] if fired.any() else []
            found += int(np.count_nonzero(fired))
            if found >= k:
                break
        ramp = (score for stop in stops for score in range(stop + _STRIDE - 1, max(stop, least) - 1, -1))
        found = 0
        for score, fired in self.network.race(spikes, top, ramp):
            yield score, fired
            found += int(np.count_nonzero(fired))
            if found >= k:
                break


class Rows:
    """Vectors of nits, resident on as many cores and chips as needed.

    Each dimension has two input axons, one with the nits of the rows and one with their negatives. A query's nit of
    either sign is a number of spikes on one of them, one per time step.

    Parameters
    ----------
    nits : int8 array of shape (N, D)
        Vectors, values from -4 to 4.
    chip : Chip
        Limits of the chip.
    activity : Activity
        Counters of the networks' activity.

    Raises
    ------
    UnsupportedError
        A vector exceeds the limits of a core; the message gives the numbers.
    """

    def __init__(self, nits: npt.NDArray[np.int8], chip: Chip, activity: Activity) -> None:
        count, dimensions = nits.shape
        size = chip.neurons_a_core(2 * dimensions)
        self._count = count
        self._pages = []
        for start in range(0, count, size * chip.cores):
            page = nits[start : start + size * chip.cores].astype(np.int32)
            bound = 4 * int(np.abs(page).sum(axis=1).max())
            cores = [
                Core(np.concatenate([part.T, -part.T]))
                for part in (page[first : first + size] for first in range(0, len(page), size))
            ]
            network = Network(cores, bound, chip, activity)
            longest = int(np.square(page).sum(axis=1).max())
            self._pages.append(_Page(network, slice(start, start + len(page)), longest))

    @property
    def cores(self) -> int:
        """Number of cores in use."""
        return sum(page.network.cores for page in self._pages)

    @property
    def networks(self) -> list[Network]:
        """Network of each chip."""
        return [page.network for page in self._pages]

    def scores(self, query: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """Return all dot products with a query (D,), int32 of shape (N,)."""
        scores = np.zeros(self._count, np.int32)
        for page in self._pages:
            part = scores[page.rows]
            for score, fired in page.ranked(query, len(part)):
                part[fired] = score
        return scores

    def all_scores(self, queries: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """Return all dot products with queries (Q, D), int32 of shape (Q, N)."""
        scores = np.zeros((len(queries), self._count), np.int32)
        for query, row in zip(queries, scores, strict=True):
            row[:] = self.scores(query)
        return scores

    def best(self, query: npt.NDArray[np.int8], k: int) -> Ranked:
        """Return the k rows with the largest dot products, whose neurons fire first; ties by row."""
        ids, scores = np.zeros(0, np.int64), np.zeros(0, np.int32)
        for page in self._pages:
            # Once k rows are found, a later page's row must score more than the last of them.
            for score, fired in page.ranked(query, k, int(scores[-1]) + 1 if len(scores) == k else None):
                rows = np.flatnonzero(fired) + page.rows.start
                ids = np.concatenate([ids, rows])
                scores = np.concatenate([scores, np.full(len(rows), score, np.int32)])
            ids, scores = merged(ids, scores, k)
        return ids, scores


def _spikes(query: npt.NDArray[np.int8]) -> list[list[list[int]]]:
    """Return the axons that get a spike in each time step: a nit n sends |n| spikes on the axon of its sign."""
    axons = np.where(query < 0, len(query), 0) + np.arange(len(query))
    most = int(np.abs(query).max(initial=0))
    return [[axons[np.abs(query) >= step].tolist()] for step in range(1, most + 1)]
