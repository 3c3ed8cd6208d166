"""Arrays of new segments: rows of older ones without the dead, and the lists of clusters that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import unpack
from ninefold.spec.data import Database
from ninefold.spec.formats import MICRO_CLUSTERS

from .columns import FieldColumn
from .parts import Part
from .segments import Stream, field_streams
from .tables import Listed, Tables

__all__ = ["MOST_SEGMENTS", "Centroids", "due", "listed_columns", "lists_of", "live_columns", "nearest_lists"]

#: Segments that a search may have to merge; more are merged.
MOST_SEGMENTS: Final = 8
#: Share of dead rows from which a segment is written again.
_DEAD: Final = 1 / 3
#: Rows copied, or compared with centroids, together.
_BLOCK: Final = 8192

#: Packed nits of the centroids of clusters and of lists.
Centroids = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def due(tables: Tables) -> tuple[Listed, ...]:
    """Return the neighbouring segments to merge next, or an empty tuple.

    A segment of which a third is dead is written again alone. Of more than eight segments, the two neighbours with the
    fewest live rows are merged, so that a row is copied as often as the number of rows doubles.
    """
    segments = tables.catalogue().segments
    live = [listed.rows - int(np.bitwise_count(tables.dead(listed)).sum()) for listed in segments]
    for listed, left in zip(segments, live, strict=True):
        if listed.rows - left >= max(1, _DEAD * listed.rows):
            return (listed,)
    if len(segments) <= MOST_SEGMENTS:
        return ()
    at = min(range(len(segments) - 1), key=lambda i: live[i] + live[i + 1])
    return segments[at : at + 2]


def live_columns(parts: Sequence[Part], live: Sequence[npt.NDArray[np.int64]]) -> dict[str, Stream]:
    """Return the arrays of one segment with some rows of several.

    Parameters
    ----------
    parts : sequence of Part
        Segments in order.
    live : sequence of int64 array
        Rows to keep of each, ascending.
    """
    first, rows = parts[0].database.arrays, sum(len(some) for some in live)
    columns = {}
    for name in ("nits", "vectors"):
        if name in first:
            shape = (rows, *first[name].shape[1:])
            columns[name] = Stream(first[name].dtype.name, shape, _blocks(name, parts, live))
    if "order" in first:
        lists = np.concatenate([lists_of(p.database)[some] for p, some in zip(parts, live, strict=True)])
        columns |= listed_columns(lists, (first["macro"], first["micro"]))
    fields = {name: [part.columns()[name] for part in parts] for name in parts[0].columns()}
    return columns | field_streams({name: FieldColumn.joined(some, live) for name, some in fields.items()})


def _blocks(name: str, parts: Sequence[Part], live: Sequence[npt.NDArray[np.int64]]) -> Iterator[npt.NDArray[Any]]:
    for part, rows in zip(parts, live, strict=True):
        for first in range(0, len(rows), _BLOCK):
            yield part.database.arrays[name][rows[first : first + _BLOCK]]


def lists_of(database: Database) -> npt.NDArray[np.int64]:
    """Return the list of each row of a clustered database, int64 of shape (rows,)."""
    order, starts = database.arrays["order"], database.arrays["starts"]
    lists = np.empty(len(order), np.int64)
    lists[order] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return lists


def listed_columns(lists: npt.NDArray[np.int64], centroids: Centroids) -> dict[str, Stream]:
    """Return the arrays by which ``mine`` finds the rows of a list, from the list of each row."""
    macro, micro = centroids
    starts = np.searchsorted(np.sort(lists), np.arange(len(micro) + 1))
    arrays = {"order": np.argsort(lists, kind="stable"), "starts": starts, "macro": macro, "micro": micro}
    return {name: Stream.of(np.ascontiguousarray(array)) for name, array in arrays.items()}


def nearest_lists(vectors: npt.NDArray[Any], centroids: Centroids) -> npt.NDArray[np.int64]:
    """Return the list to which each vector is nearest by cosine, in the cluster to which it is nearest.

    Parameters
    ----------
    vectors : float array of shape (n, D)
    centroids : tuple of uint8 array
        Packed nits of the centroids, compared by their directions.
    """
    coarse, fine = (_directions(unpack(packed, vectors.shape[1])) for packed in centroids)
    found = np.empty(len(vectors), np.int64)
    for first in range(0, len(vectors), _BLOCK):
        rows = np.asarray(vectors[first : first + _BLOCK], np.float32)
        clusters = (rows @ coarse.T).argmax(axis=1)
        lists = clusters[:, None] * MICRO_CLUSTERS + np.arange(MICRO_CLUSTERS)
        inside = np.take_along_axis(rows @ fine.T, lists, axis=1).argmax(axis=1)
        found[first : first + len(rows)] = clusters * MICRO_CLUSTERS + inside
    return found


def _directions(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    wide = nits.astype(np.float32)
    found: npt.NDArray[np.float32] = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1)
    return found
