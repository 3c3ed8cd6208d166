"""Rows of nits as synapses: a neuron a row, and the dot products with a query read from its race."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

from .board import Activity, Board, Core
from .chip import Chip

__all__ = ["Rows"]

#: The coarse ramp's step. Of 16 scores one race tells whether any neuron has them, and a second one which has which.
_STRIDE = 16

#: Ids int64 and scores int32 of one query, best first, as many as there are.
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]


@dataclass(frozen=True)
class _Page:
    """The rows of one chip.

    Attributes
    ----------
    board : Board
        Its network.
    rows : slice
        Which rows.
    longest : int
        The largest sum of squares of a row.
    """

    board: Board
    rows: slice
    longest: int

    def ranked(
        self, query: npt.NDArray[np.int8], k: int, least: int | None = None
    ) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        """Yield scores, falling, each with a mask (rows,) of those that have it, until there are k rows at least.

        The query is given twice: a ramp in steps of `_STRIDE` finds out which scores occur, roughly, and one in steps
        of 1 then leaves out those that do not. Scores below `least` are left out too.
        """
        least = -self.board.bound if least is None else least
        # Cauchy-Schwarz: it bounds the scores of the query, and of what a part of its spikes makes of it.
        squares = int(np.square(query, dtype=np.int64).sum())
        top = min(isqrt(squares * self.longest), self.board.bound)
        if top < least:
            return
        spikes = _spikes(query)
        stops = []
        found = 0
        for stop, fired in self.board.race(spikes, top, range(top - _STRIDE + 1, least - _STRIDE, -_STRIDE)):
            stops += [stop] if fired.any() else []
            found += int(np.count_nonzero(fired))
            if found >= k:
                break
        ramp = (score for stop in stops for score in range(stop + _STRIDE - 1, max(stop, least) - 1, -1))
        found = 0
        for score, fired in self.board.race(spikes, top, ramp):
            yield score, fired
            found += int(np.count_nonzero(fired))
            if found >= k:
                break


class Rows:
    """Vectors of nits, resident on chips: as many to a core as fit, as many cores as needed, a chip after the other.

    Each dimension has two input axons, one with the nits of the rows and one with their negatives, so that a query's
    nit of either sign is a number of spikes, one a time step on its axon.

    Parameters
    ----------
    nits : int8 array of shape (N, D)
        -4 to 4.
    chip : Chip
        The limits.
    activity : Activity
        Counts what the networks do.

    Raises
    ------
    UnsupportedError
        When a vector exceeds what a core holds, with the numbers.
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
            board = Board(cores, bound, chip, activity)
            longest = int(np.square(page).sum(axis=1).max())
            self._pages.append(_Page(board, slice(start, start + len(page)), longest))

    @property
    def cores(self) -> int:
        """How many cores the rows take."""
        return sum(page.board.cores for page in self._pages)

    @property
    def boards(self) -> list[Board]:
        """The network of each chip."""
        return [page.board for page in self._pages]

    def scores(self, query: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """Return the dot products with a query (D,), int32 of shape (N,), once every neuron has fired."""
        scores = np.zeros(self._count, np.int32)
        for page in self._pages:
            part = scores[page.rows]
            for score, fired in page.ranked(query, len(part)):
                part[fired] = score
        return scores

    def best(self, query: npt.NDArray[np.int8], k: int) -> Found:
        """Return the k rows with the largest dot products: those whose neurons fire first, of equal ones the lower."""
        ids, scores = np.zeros(0, np.int64), np.zeros(0, np.int32)
        for page in self._pages:
            # With k there, a later page's row must score more than the last of them.
            for score, fired in page.ranked(query, k, int(scores[-1]) + 1 if len(scores) == k else None):
                rows = np.flatnonzero(fired) + page.rows.start
                ids = np.concatenate([ids, rows])
                scores = np.concatenate([scores, np.full(len(rows), score, np.int32)])
            order = np.argsort(-scores, kind="stable")[:k]
            ids, scores = ids[order], scores[order]
        return ids, scores


def _spikes(query: npt.NDArray[np.int8]) -> list[list[list[int]]]:
    """Return for each time step the axons that get a spike: a nit of n sends |n|, on the axon of its sign."""
    axons = np.where(query < 0, len(query), 0) + np.arange(len(query))
    most = int(np.abs(query).max(initial=0))
    return [[axons[np.abs(query) >= step].tolist()] for step in range(1, most + 1)]
