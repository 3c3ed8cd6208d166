"""Checks of residents that every backend makes before it loads them."""

import weakref

import numpy as np

from ninefold.numerics.nits import check
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

__all__ = ["check_database"]

#: Databases that passed the check, for any device; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()


def check_database(database: Database) -> None:
    """Raise `InputError` unless ``mine`` accepts a database; each is checked once per process.

    Raises
    ------
    InputError
        ``nits`` is not rows x dimensions packed nits (the message gives the first wrong position), or ``quantise`` does
        not accept scale or mode.
    """
    if database in _CHECKED:
        return
    rows, dimensions = int(database.attributes["rows"]), int(database.attributes["dimensions"])
    packed = np.asarray(database.require("nits"))
    if packed.ndim != 2 or len(packed) != rows:
        raise InputError(f"the database must hold {rows} rows of packed nits, not an array of {packed.shape}")
    check(packed, dimensions)
    # Queries will be quantised with this scale and mode, so the operator's contract checks them now.
    settings = {name: database.attributes.get(name) for name in ("scale", "mode")}
    OPERATORS["quantise"].bind({"x": np.zeros((0, dimensions), np.float32)}, settings)
    _CHECKED.add(database)
