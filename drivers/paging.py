"""Merging of results from the parts of a database that is larger than the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol import QueryReply
from ninefold.numerics import ranked

__all__ = ["Mined", "Page", "merged"]


@dataclass(frozen=True)
class Mined:
    """Results of queries.

    Attributes
    ----------
    ids : int64 array of shape (Q, R)
        Rows of the database, best first; R is the smaller of k and the number of rows.
    scores : int32 array of shape (Q, R)
        Scores of these rows.
    cycles : int
        Clock cycles of the board from the arrival of the first query to the last answer, including waiting for the link
        and excluding loads.
    """

    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int32]
    cycles: int


@dataclass(frozen=True)
class Page:
    """Results from one part of the database.

    Attributes
    ----------
    first : int
        First row of the part in the database.
    found : QueryReply
        Results, with rows counted from `first`.
    cycles : int
        Clock cycles, as in `Mined`.
    """

    first: int
    found: QueryReply
    cycles: int


def merged(pages: Sequence[Page], k: int) -> Mined:
    """Return the k best results of several parts, by descending score, then ascending row."""
    pages = sorted(pages, key=lambda page: page.first)
    ids = np.concatenate([page.found.ids.astype(np.int64) + page.first for page in pages], axis=1)
    scores = np.concatenate([page.found.scores for page in pages], axis=1)
    cycles = sum(page.cycles for page in pages)
    if len(pages) == 1:  # in the board's order, correct or not
        return Mined(ids, scores, cycles)
    return Mined(*ranked.merged(ids, scores, k), cycles)
