"""Fixed-point normalisation against its definition in integers."""

from math import isqrt

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.numerics.similarity import normalised, reciprocals

NITS = hnp.arrays(np.int8, st.tuples(st.integers(0, 4), st.sampled_from([1, 7, 64])), elements=st.integers(-4, 4))


def reciprocal(squares: int) -> int:
    return (isqrt(2**34 // squares) + 1) >> 1 if squares else 0


@settings(max_examples=60, deadline=None)
@given(NITS, st.data())
def test_scores_are_divided_as_defined(c: npt.NDArray[np.int8], data: st.DataObject) -> None:
    scores = data.draw(hnp.arrays(np.int32, (2, len(c)), elements=st.integers(-(2**16), 2**16)))
    squares = [sum(int(n) ** 2 for n in row) for row in c]
    found = normalised(scores, reciprocals(c.astype(np.float32)))
    assert found.dtype == np.int32
    assert found.tolist() == [
        [(score * reciprocal(n)) >> 8 for score, n in zip(row, squares, strict=True)] for row in scores.tolist()
    ]


def test_every_sum_of_squares_of_ones() -> None:
    rows = np.tri(4096, dtype=np.float32)[:: 4096 // 64]
    assert reciprocals(rows).tolist() == [reciprocal(int(row.sum())) for row in rows]
