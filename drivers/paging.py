"""Parts of a database that is larger than the store: their masks, and the merge of their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol import QueryReply
from ninefold.numerics import ranked
from ninefold.spec.errors import InputError

__all__ = ["Mined", "Page", "masks_of", "merged"]


@dataclass(frozen=True)
class Mined:
    """Results of queries.

    Attributes
    ----------
    ids : int64 array of shape (Q, R)
        Rows of the database, best first; R is the smaller of k and the number of rows, or of keep and allowed rows.
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


def merged(pages: Sequence[Page], k: int, *, ordered: bool = True) -> Mined:
    """Return the k best results of several parts, by descending score, then ascending row.

    If the parts are `ordered`, the results of a single one are returned as the board ranked them, correct or not.
    """
    pages = sorted(pages, key=lambda page: page.first)
    ids = np.concatenate([page.found.ids.astype(np.int64) + page.first for page in pages], axis=1)
    scores = np.concatenate([page.found.scores for page in pages], axis=1)
    cycles = sum(page.cycles for page in pages)
    if len(pages) == 1 and ordered:
        return Mined(ids, scores, cycles)
    return Mined(*ranked.merged(ids, scores, k), cycles)


def masks_of(allowed: npt.NDArray[np.uint8] | None, rows: int, depth: int) -> list[tuple[bytes, int]]:
    """Return for each part of a database the mask of its rows, which is empty if all are allowed, and their number.

    Parameters
    ----------
    allowed : uint8 array of shape (ceil(rows / 8),), optional
        Allowed rows: row r is bit r mod 8, lowest first, of byte r // 8.
    rows, depth : int
        Rows of the database, and of a part.

    Raises
    ------
    InputError
        The mask has another dtype or shape.
    """
    if allowed is not None and (allowed.dtype != np.uint8 or allowed.shape != ((rows + 7) // 8,)):
        raise InputError(
            f"allowed must be uint8 of shape ({(rows + 7) // 8},) for {rows} rows, not {allowed.dtype} of shape"
            f" {allowed.shape}"
        )
    parts = []
    bits = None if allowed is None else np.unpackbits(allowed, count=rows, bitorder="little")
    for first in range(0, rows, depth):
        part = np.ones(min(depth, rows - first), np.uint8) if bits is None else bits[first : first + depth]
        mask = b"" if part.all() else np.packbits(part, bitorder="little").tobytes()
        parts.append((mask, int(part.sum())))
    return parts
