"""The sign plane, against sums written out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics.nits import pack, unpack
from ninefold.numerics.signs import coarse_scores, sign_nits, sign_plane


def test_by_hand() -> None:
    nits = np.array([[-1, 0, 4, -4, 0, 0, 0, 0, -2]], np.int8)
    assert sign_plane(pack(nits), 9).tolist() == [[0b00001001, 0b1]]
    query = np.array([[1, 2, 3, -4, 0, 1, 1, 1, -3]], np.int8)
    assert coarse_scores(query, sign_plane(pack(nits), 9), 9).tolist() == [[-1 + 2 + 3 + 4 + 1 + 1 + 1 + 3]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(1, 40), st.integers(0, 99))
def test_any_rows(rows: int, dimensions: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    nits: npt.NDArray[np.int8] = random.integers(-4, 5, (rows, dimensions), dtype=np.int8)
    packed = pack(nits)
    signs = np.where(nits < 0, -1, 1)
    assert unpack(sign_nits(packed, dimensions), dimensions).tolist() == signs.tolist()
    assert sign_nits(packed, dimensions).tolist() == pack(signs.astype(np.int8)).tolist()
    queries = random.integers(-4, 5, (3, dimensions), dtype=np.int8)
    wanted = queries.astype(np.int64) @ signs.T
    assert coarse_scores(queries, sign_plane(packed, dimensions), dimensions).tolist() == wanted.tolist()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_scores(sign: int) -> None:
    nits = np.full((1, 4096), sign * 4, np.int8)
    assert coarse_scores(np.full((1, 4096), 4, np.int8), sign_plane(pack(nits), 4096), 4096).tolist() == [
        [sign * 16384]
    ]
