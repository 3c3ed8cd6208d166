"""Databases of ``mine``: checks that their declaration cannot express."""

import weakref

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import check
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

__all__ = ["checked_nits"]

#: Databases that passed the check, for any device; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()


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
