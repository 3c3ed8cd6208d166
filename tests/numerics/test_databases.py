"""Checks of databases before a device loads them."""

from typing import Any

import numpy as np
import pytest

from ninefold.host.cluster import cluster
from ninefold.numerics.databases import checked_nits
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.registry import backend

ROWS, DIMENSIONS = 300, 16


def clustered(**changed: Any) -> Database:
    rng = np.random.default_rng(3)
    arrays: dict[str, Any] = {"nits": pack(rng.integers(-4, 5, (ROWS, DIMENSIONS), dtype=np.int8))}
    clusters = cluster(rng.standard_normal((ROWS, DIMENSIONS), np.float32), seed=1)
    arrays |= {name: array.copy() for name, array in clusters.arrays.items()}
    for name, change in changed.items():
        change(arrays[name])
    attributes = {"rows": ROWS, "dimensions": DIMENSIONS, "scale": 1.0, "mode": "tanh"}
    return Database(arrays, {**attributes, "centroid_scale": clusters.scale})


def put(at: int, value: int) -> Any:
    return lambda array: array.__setitem__(at, value)


def test_lists_of_clusters_are_accepted() -> None:
    assert checked_nits(clustered()).shape == (ROWS, DIMENSIONS // 2)


#: All rows in the first list, in descending order.
DESCENDING = {
    "starts": lambda starts: starts.__setitem__(slice(1, None), ROWS),
    "order": lambda order: order.__setitem__(slice(None), np.arange(ROWS)[::-1]),
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"starts": put(-1, ROWS + 1)}, "from 0 to the 300 rows: they begin with 0 and end with 301"),
        ({"starts": put(0, -1)}, "they begin with -1 and end with 300"),
        ({"starts": put(500, 10**9)}, r"starts\[501\] is \d+, below the one before"),
        ({"order": put(7, ROWS)}, r"order must hold rows 0 to 299: order\[7\] is 300"),
        ({"order": put(7, -1)}, r"order\[7\] is -1"),
        ({"order": lambda order: order.__setitem__(3, order[4])}, "order must hold each row once; row .* times"),
        (DESCENDING, r"rows of a list must ascend: order\[1\] is 298"),
        ({"macro": lambda macro: macro.fill(0x88)}, "-8"),
    ],
)
def test_what_kernels_would_trust_is_refused(changed: Any, message: str) -> None:
    database = clustered(**changed)
    with pytest.raises(InputError, match=message):
        backend("cpu").open("portable").load(database)
