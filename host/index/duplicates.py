"""Near duplicates among the rows of an index, found by comparing neighbours in the order of Hilbert curves.

Rows that overlap are near each other in the directions in which the rows vary most. Along a Hilbert curve through some
of these directions most of them are neighbours. Some are not, as the curve is cut between them, so rows are compared in
the order of several curves, each through other directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import Scheduler
from ninefold.host.structures.curve import indices_of
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

from .parts import Parts

__all__ = ["check_overlap", "chosen", "near_duplicates"]

_Array = npt.NDArray[Any]

#: Curves, coordinates of each, and bits of a coordinate.
_CURVES: Final = 6
_COORDINATES: Final = 4
_BITS: Final = 16
#: Rows that are compared with each other and with the next ones.
_BLOCK: Final = 448
_NEXT: Final = 64
#: Rows from which the directions are found, their seed, and rows projected together.
_SAMPLE: Final = 20_000
_SEED: Final = 9
_PROJECTED: Final = 8192


def check_overlap(least: float) -> float:
    """Return a least overlap; raise `InputError` unless it is above 0 and at most 1."""
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least <= 1:
        raise InputError(f"the overlap from which entries are merged must be above 0 and at most 1, not {least!r}")
    return float(least)


def near_duplicates(scheduler: Scheduler, parts: Parts, least: float) -> tuple[npt.NDArray[np.int64], _Array]:
    """Return pairs of rows that overlap, nearly all of those that there are.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that runs ``overlap``, on the CPU.
    parts : Parts
        Rows, compared by their float vectors, or by their nits if there are no others.
    least : float
        Least overlap (the squared cosine) of a pair.

    Returns
    -------
    pairs : int64 array of shape (n, 2)
        Rows, the smaller one first; each pair once.
    overlaps : float32 array of shape (n,)
    """
    count = len(parts)
    found, overlaps = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    if count > 1:
        orders = list(_orders(parts))
        blocks = [(order, first) for order in orders for first in range(0, count, _BLOCK)]
        with step("comparing neighbours", len(blocks)) as comparing:
            for order, first in blocks:
                rows = order[first : first + _BLOCK + _NEXT]
                vectors = parts.floats(rows)
                a, b = vectors[:_BLOCK], vectors
                result = scheduler.run("overlap", a, b, device="cpu", strict=True).values["overlap"]
                at, other = np.nonzero(np.triu(result >= least, 1))
                found.append(np.sort(rows[np.stack([at, other], axis=1)], axis=1))
                overlaps.append(result[at, other])
                comparing.advance()
    pairs, once = np.unique(np.concatenate(found), axis=0, return_index=True)
    return pairs, np.concatenate(overlaps)[once]


def chosen(pairs: npt.NDArray[np.int64], priority: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return for each row that is merged the row that is kept in its place.

    Rows are taken in the order of their priority, and each absorbs the rows that overlap with it itself. So a kept row
    overlaps with every row that it replaces.

    Parameters
    ----------
    pairs : int64 array of shape (n, 2)
        Pairs of rows that overlap.
    priority : int64 array of shape (rows,)
        Rank of each row, 0 for the one that is kept first; -1 for a row that must be kept.

    Returns
    -------
    list of (int, int)
        Merged row and kept row.
    """
    neighbours: dict[int, list[int]] = {}
    for a, b in pairs.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    into: dict[int, int] = {}
    for row in sorted(neighbours, key=lambda row: (int(priority[row]), row)):
        if row not in into:
            for other in neighbours[row]:
                if priority[other] >= 0 and other not in into and (priority[row], row) < (priority[other], other):
                    into[other] = row
    return sorted(into.items())


def _orders(parts: Parts) -> Iterator[npt.NDArray[np.int64]]:
    """Yield orders of all rows along Hilbert curves."""
    count = len(parts)
    random = np.random.default_rng(_SEED)
    sample = np.sort(random.choice(count, min(_SAMPLE, count), replace=False))
    directions = _directions(_unit(parts.floats(sample)))
    places = np.empty((count, directions.shape[1]), np.float32)
    for first in range(0, count, _PROJECTED):
        rows = np.arange(first, min(first + _PROJECTED, count))
        places[rows] = _unit(parts.floats(rows)) @ directions
    for _ in range(_CURVES):
        # Each curve turns through other mixtures of the directions, so that its cuts are elsewhere.
        turned = np.linalg.qr(random.normal(size=(places.shape[1],) * 2))[0][:, :_COORDINATES]
        yield np.argsort(indices_of(_ranks(places @ turned.astype(np.float32)), _BITS), kind="stable")


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def _directions(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the directions in which vectors vary most, float32 of shape (D, at most 8)."""
    centred = vectors - vectors.mean(axis=0)
    _, found = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(found[:, : -2 * _COORDINATES - 1 : -1], np.float32)


def _ranks(values: _Array) -> npt.NDArray[np.uint64]:
    """Return coordinates on a grid, of which every cell of each axis holds as many rows."""
    order = np.argsort(values, axis=0, kind="stable")
    ranks = np.empty(values.shape, np.int64)
    np.put_along_axis(ranks, order, np.arange(len(values))[:, None], axis=0)
    # Equal values must have equal coordinates.
    ordered = np.take_along_axis(values, order, axis=0)
    same = np.zeros(values.shape, np.bool_)
    same[1:] = ordered[1:] == ordered[:-1]
    firsts = np.maximum.accumulate(np.where(same, 0, np.arange(len(values))[:, None]), axis=0)
    np.put_along_axis(ranks, order, firsts, axis=0)
    return (ranks * (1 << _BITS) // len(values)).astype(np.uint64)
