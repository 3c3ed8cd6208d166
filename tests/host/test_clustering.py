"""Clusters: rows by direction, and lists that hold each row once."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold.host.clustering import cluster
from ninefold.numerics.nits import unpack
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.operators.mine import DATABASE


def rays(each: int = 40) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Rows of any length near 12 directions at right angles."""
    random = np.random.default_rng(4)
    rows = np.repeat(np.eye(12), each, axis=0) * random.uniform(1, 9, (12 * each, 1))
    return (rows + random.normal(0, 0.01, rows.shape)).astype(np.float32)


def test_rows_of_one_direction_are_together() -> None:
    found = cluster(rays(), 12, 1, seed=1)
    lists = np.split(found.order, found.starts[1:-1])
    # K-means may join two directions and divide another, but never mixes parts of several.
    assert all(len({int(row) // 40 for row in rows}) <= 2 for rows in lists)
    assert sum(len({int(row) // 40 for row in rows}) == 1 for rows in lists) >= 8


def test_the_lists_hold_each_row_once_in_order() -> None:
    vectors = np.random.default_rng(2).normal(size=(3000, 24)).astype(np.float16)
    found = cluster(vectors)
    assert sorted(found.order.tolist()) == list(range(3000))
    assert (found.starts[0], found.starts[-1], len(found.starts)) == (0, 3000, 1025)
    assert all((np.diff(rows) > 0).all() for rows in np.split(found.order, found.starts[1:-1]))
    again = cluster(vectors)
    assert all(np.array_equal(array, again.arrays[name]) for name, array in found.arrays.items())
    attributes = {"rows": 3000, "dimensions": 24, "scale": 1.0, "mode": "linear", "centroid_scale": found.scale}
    nits = np.zeros((3000, 12), np.uint8)
    assert DATABASE.sizes_of(Database({"nits": nits, **found.arrays}, attributes)) == {"N": 3000, "D": 24}


def test_fewer_rows_than_lists_and_rows_of_zeros() -> None:
    found = cluster(np.array([[0, 0], [1, 0], [0, 2]], np.float32), 4, 2)
    assert sorted(found.order.tolist()) == [0, 1, 2]
    assert unpack(found.macro, 2).shape == (4, 2)
    nothing = cluster(np.zeros((5, 3), np.float32), 2, 2)
    assert nothing.order.tolist() == [0, 1, 2, 3, 4]
    assert not nothing.micro.any()


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.zeros((0, 3)), {}, r"^vectors must have shape \(N, D\) with N of at least 1, not \(0, 3\)$"),
        (np.zeros(3), {}, r"^vectors must have shape"),
        (np.zeros((2, 3)), {"macro": 0}, "^macro must be at least 1, not 0$"),
        (np.zeros((2, 3)), {"mode": "cubic"}, "^mode must be one of tanh, linear, not 'cubic'$"),
    ],
)
def test_refusals(vectors: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cluster(vectors, **options)  # type: ignore[arg-type]
