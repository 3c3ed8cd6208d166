"""Databases of ``mine``: checks that their declaration cannot express."""

import weakref

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import check
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS

__all__ = ["checked_nits"]

#: Databases that passed the check, for any device; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()


def checked_nits(database: Database) -> npt.NDArray[np.uint8]:
    """Return the packed nits of a database, uint8 of shape (rows, ceil(dimensions / 2)), checked once a process.

    Raises
    ------
    InputError
        A nibble is no nit (the message gives the first wrong position), or ``quantise`` does not accept scale or mode.
    """
    packed = np.asarray(database.require("nits"))
    if database not in _CHECKED:
        dimensions = int(database.attributes["dimensions"])
        check(packed, dimensions)
        # Queries will be quantised with this scale and mode, so the operator's contract checks them now.
        settings = {name: database.attributes.get(name) for name in ("scale", "mode")}
        OPERATORS["quantise"].bind({"x": np.zeros((0, dimensions), np.float32)}, settings)
        _CHECKED.add(database)
    return packed
