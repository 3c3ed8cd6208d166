"""Checks of databases before a device loads them."""

from typing import Any

import numpy as np
import pytest

from ninefold.host.clustering import cluster
from ninefold.numerics.databases import JoinedRows, checked_nits, joined_rows
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database, joined
from ninefold.spec.errors import InputError
from ninefold.spec.operators.mine import DATABASE
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


def test_rows_of_joined_databases_count_on() -> None:
    one = clustered()
    first = Database({"nits": one.arrays["nits"][:7]}, {**one.attributes, "rows": 7})
    both = joined([first, one])
    assert dict(DATABASE.sizes_of(both)) == {"N": 307, "D": DIMENSIONS}
    assert (both.parts, both.nbytes) == ((first, one), first.nbytes + one.nbytes)
    assert both.digest != joined([one, first]).digest == joined([one, first]).digest
    rows = joined_rows(both, "nits")
    assert (rows.shape, rows.dtype, len(rows)) == ((307, DIMENSIONS // 2), np.uint8, 307)
    whole = np.concatenate([first.arrays["nits"], one.arrays["nits"]])
    numbers = np.array([[306, 0, 7], [6, 6, 150]])
    assert np.array_equal(rows[numbers], whole[numbers])
    assert np.array_equal(JoinedRows([whole])[numbers], whole[numbers])
    assert rows.table[:, 1:].tolist() == [[0, 7], [7, 300]]
    with pytest.raises(InputError, match=r"^the database has no 'vectors', only nits$"):
        joined_rows(both, "vectors")


def test_databases_that_do_not_fit_together_are_refused() -> None:
    one = clustered()
    other = Database({"nits": np.zeros((2, 1), np.uint8)}, {**one.attributes, "rows": 2, "dimensions": 2})
    with pytest.raises(InputError, match=r"^database has D = 16, and joins databases with \[16, 2\]$"):
        DATABASE.sizes_of(joined([one, other]))
    wrong = Database({}, {**one.attributes, "rows": 5}, "wrong", (one, one))
    with pytest.raises(InputError, match=r"^database has N = 5, and joins databases with \[300, 300\]$"):
        DATABASE.sizes_of(wrong)
