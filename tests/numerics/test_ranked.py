"""Ranked lists: selection and merging against sorting, and the order of keys."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.numerics.ranked import Selection, best, empty, merged, sortable
from ninefold.spec.formats import INT32_MIN, NO_ID

SCORES = hnp.arrays(
    np.int32,
    st.tuples(st.integers(0, 3), st.integers(1, 30)),
    elements=st.integers(-2, 2) | st.sampled_from([INT32_MIN, -INT32_MIN - 1]),
)


def sorted_pairs(ids: npt.NDArray[np.int64], scores: npt.NDArray[Any], k: int) -> list[tuple[int, int]]:
    """Return the k best (id, score) of one list by their definition, empty slots last."""
    pairs = zip(ids.tolist(), scores.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0] == NO_ID, pair[0]))[:k]


@settings(max_examples=80, deadline=None)
@given(
    scores=hnp.arrays(np.int32, st.tuples(st.just(2), st.integers(1, 60)), elements=st.integers(-3, 3)),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    k=st.integers(1, 12),
)
def test_selection_does_not_depend_on_how_scores_are_cut(
    scores: npt.NDArray[np.int32], cuts: list[int], k: int
) -> None:
    edges = sorted({0, scores.shape[1], *(c for c in cuts if c < scores.shape[1])})
    selection = Selection(2, k, np.int32)
    for first, last in itertools.pairwise(edges):
        selection.offer(scores[:, first:last], first)
    count = min(k, scores.shape[1])
    assert selection.count == count
    np.testing.assert_array_equal(selection.ids[:, :count], np.argsort(-scores, axis=1, kind="stable")[:, :k])


@settings(max_examples=80, deadline=None)
@given(SCORES, st.integers(1, 12))
def test_best_is_the_head_of_the_sorted_row(scores: npt.NDArray[np.int32], k: int) -> None:
    columns, values = best(scores, k)
    for row, row_columns, row_values in zip(scores, columns, values, strict=True):
        wanted = sorted_pairs(np.arange(len(row)), row, k)
        assert list(zip(row_columns.tolist(), row_values.tolist(), strict=True)) == wanted


@settings(max_examples=80, deadline=None)
@given(SCORES, st.data(), st.integers(1, 12))
def test_merged_lists_are_in_order_whatever_the_order_of_the_parts(
    scores: npt.NDArray[np.int32], data: st.DataObject, k: int
) -> None:
    width = scores.shape[1]
    ids = np.array([data.draw(st.permutations(range(width))) for _ in scores], np.int64).reshape(scores.shape)
    vacant = data.draw(hnp.arrays(np.bool_, scores.shape))
    ids[vacant], scores[vacant] = NO_ID, INT32_MIN
    found_ids, found_scores = merged(ids, scores, k)
    assert found_ids.shape == found_scores.shape == (len(scores), min(k, width))
    for row in range(len(scores)):
        found = list(zip(found_ids[row].tolist(), found_scores[row].tolist(), strict=True))
        assert found == sorted_pairs(ids[row], scores[row], k)


def test_lists_of_floats_merge_too() -> None:
    ids, scores = np.array([7, NO_ID, 3, 5], np.int64), np.array([-0.0, -np.inf, 0.0, np.inf], np.float32)
    assert merged(ids, scores, 9)[0].tolist() == [5, 3, 7, NO_ID]


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 20), elements=st.floats(allow_nan=False, width=32)))
def test_keys_order_as_the_scores_do(scores: npt.NDArray[np.float32]) -> None:
    keys = sortable(scores)
    assert keys.dtype == np.int32
    for (a, key_a), (b, key_b) in itertools.combinations(zip(scores.tolist(), keys.tolist(), strict=True), 2):
        assert (a < b) == (key_a < key_b)
        assert (a == b) == (key_a == key_b)


@pytest.mark.parametrize(("dtype", "nothing"), [(np.int32, INT32_MIN), (np.float32, -np.inf)])
def test_empty_lists(dtype: type, nothing: float) -> None:
    ids, scores = empty(2, 3, dtype)
    assert ids.tolist() == [[NO_ID] * 3] * 2
    assert scores.dtype == dtype
    assert scores.tolist() == [[nothing] * 3] * 2
