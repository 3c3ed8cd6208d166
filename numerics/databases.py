"""Databases of ``mine``: checks that their declaration cannot express, and rows of databases that join others."""

import itertools
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import check
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

__all__ = ["JoinedRows", "check_database", "checked_nits", "joined_rows"]

#: Databases that passed the check, for any device; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()
#: Rows of databases that are in use, by the name of the array.
_ROWS: "weakref.WeakKeyDictionary[Database, dict[str, JoinedRows]]" = weakref.WeakKeyDictionary()


class JoinedRows:
    """Rows of an array of a database; of one that joins others, their rows one after another.

    Parameters
    ----------
    arrays : sequence of array of shape (n, ...)
        At least one; of one dtype, and one shape of a row.

    Attributes
    ----------
    arrays : tuple of array
        The arrays, C-contiguous.
    starts : int64 array of shape (len(arrays) + 1,)
        Number of the first row of each array, and at the end the number of rows.
    shape, dtype
        Of all rows as one array.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[Any]]) -> None:
        self.arrays = tuple(np.ascontiguousarray(array) for array in arrays)
        # Python's own sums, since these numbers are few, and made for each search that reranks.
        self.starts = np.array([*itertools.accumulate((len(array) for array in self.arrays), initial=0)], np.int64)
        self.shape = (int(self.starts[-1]), *self.arrays[0].shape[1:])
        self.dtype = self.arrays[0].dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Return rows by their numbers, an integer array of any shape, which the result's shape begins with."""
        if len(self.arrays) == 1:
            return np.asarray(self.arrays[0][rows])
        flat = rows.ravel()
        places = np.searchsorted(self.starts, flat, side="right") - 1
        found = np.empty((len(flat), *self.shape[1:]), self.dtype)
        for number, array in enumerate(self.arrays):
            inside = np.flatnonzero(places == number)
            found[inside] = array[flat[inside] - self.starts[number]]
        return found.reshape(*rows.shape, *self.shape[1:])

    @cached_property
    def table(self) -> npt.NDArray[np.int64]:
        """Address, number of the first row and number of rows of each array, int64 (len(arrays), 3), for kernels."""
        firsts = zip(self.arrays, self.starts[:-1].tolist(), strict=True)
        return np.array([(one.__array_interface__["data"][0], first, len(one)) for one, first in firsts], np.int64)


def joined_rows(database: Database, name: str) -> JoinedRows:
    """Return the rows of an array of a database, which may join others; nothing is copied.

    Raises
    ------
    InputError
        It has no such array.
    """
    known = _ROWS.setdefault(database, {})
    if name not in known:
        known[name] = JoinedRows([part.require(name) for part in database.parts])
    return known[name]


def check_database(database: Database) -> None:
    """Check a database, or each that it joins; see `checked_nits`."""
    for part in database.parts:
        checked_nits(part)


def checked_nits(database: Database) -> npt.NDArray[np.uint8]:
    """Return the packed nits of a database, uint8 of shape (rows, ceil(dimensions / 2)), checked once a process.

    Raises
    ------
    InputError
        A nibble is no nit (the message gives the first wrong position), ``quantise`` does not accept scale or mode, or
        the lists of clusters do not hold each row once.
    """
    packed = np.asarray(database.require("nits"))
    if database not in _CHECKED:
        dimensions = int(database.attributes["dimensions"])
        check(packed, dimensions)
        # Queries will be quantised with this scale and mode, so the operator's contract checks them now.
        settings = {name: database.attributes.get(name) for name in ("scale", "mode")}
        OPERATORS["quantise"].bind({"x": np.zeros((0, dimensions), np.float32)}, settings)
        for name in ("macro", "micro"):
            if name in database.arrays:
                check(np.asarray(database.arrays[name]), dimensions, f"{name} centroids")
        if "order" in database.arrays and "starts" in database.arrays:
            _check_lists(np.asarray(database.arrays["order"]), np.asarray(database.arrays["starts"]))
        _CHECKED.add(database)
    return packed


def _check_lists(order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> None:
    """Raise `InputError` unless ``order[starts[i] : starts[i + 1]]`` are the rows of list i, ascending, each row once.

    Kernels use these arrays as addresses, unchecked.
    """
    rows = len(order)
    ascend = f"starts must ascend from 0 to the {rows} rows"
    if starts[0] != 0 or starts[-1] != rows:
        raise InputError(f"{ascend}: they begin with {starts[0]} and end with {starts[-1]}")
    if (lower := np.flatnonzero(np.diff(starts) < 0)).size:
        raise InputError(f"{ascend}: starts[{lower[0] + 1}] is {starts[lower[0] + 1]}, below the one before")
    if (outside := np.flatnonzero((order < 0) | (order >= rows))).size:
        raise InputError(f"order must hold rows 0 to {rows - 1}: order[{outside[0]}] is {order[outside[0]]}")
    times = np.bincount(order, minlength=rows)
    if (missing := np.flatnonzero(times != 1)).size:
        raise InputError(f"order must hold each row once; row {missing[0]} is there {times[missing[0]]} times")
    begins = np.zeros(rows + 1, bool)
    begins[starts] = True
    if (falls := np.flatnonzero((np.diff(order) < 0) & ~begins[1:rows])).size:
        raise InputError(f"rows of a list must ascend: order[{falls[0] + 1}] is {order[falls[0] + 1]}")
