"""Rows of arguments and results of any kind: arrays, records of columns and ragged arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.spec.data import RaggedArray

__all__ = ["count", "form", "join", "size", "take"]


def count(value: Any) -> int:
    """Return the number of rows: of a record, of its first column."""
    # Arrays first, here and below: a test for an abstract class takes longer than the rest.
    if isinstance(value, np.ndarray) or not isinstance(value, Mapping):
        return len(value)
    return count(next(iter(value.values())))


def size(value: Any) -> int:
    """Return the size in bytes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(size(column) for column in value.values())
    if isinstance(value, RaggedArray):
        return value.nbytes
    return int(value.nbytes)


def form(value: Any) -> Hashable:
    """Return what must be equal for two values to be joined: names of columns, dtypes, and shapes without rows."""
    if isinstance(value, np.ndarray):
        return (value.shape[1:], value.dtype)
    if isinstance(value, Mapping):
        return tuple((name, form(column)) for name, column in value.items())
    if isinstance(value, RaggedArray):
        return ("ragged", form(value.values))
    return (value.shape[1:], value.dtype)


def take(value: Any, rows: slice) -> Any:
    """Return some of the rows, as views where possible.

    Parameters
    ----------
    value : array, mapping or RaggedArray
        Value with rows on its first axis.
    rows : slice
        Rows; the step is 1, and the bounds are not negative.
    """
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Mapping):
        return {name: take(column, rows) for name, column in value.items()}
    if isinstance(value, RaggedArray):
        first, last, _ = rows.indices(len(value))
        offsets = value.offsets[first : max(first, last) + 1]
        return RaggedArray(value.values[offsets[0] : offsets[-1]], offsets - offsets[0])
    return value[rows]


def join(values: Sequence[Any]) -> Any:
    """Return the rows of all values of one form, in order."""
    first = values[0]
    if isinstance(first, Mapping):
        return {name: join([value[name] for value in values]) for name in first}
    if isinstance(first, RaggedArray):
        ends = np.cumsum([0, *(len(value.values) for value in values)])
        offsets = [value.offsets[1:] + start for value, start in zip(values, ends[:-1], strict=True)]
        return RaggedArray(np.concatenate([v.values for v in values]), np.concatenate([ends[:1], *offsets]))
    return np.concatenate(values)
