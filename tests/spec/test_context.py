"""Columns of records as arguments, and what the operators on context vectors refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.numerics.vector6d import Vector6DColumns
from ninefold.spec.context import SCORED, WEIGHTS
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

RECORDS = Vector6DColumns.zeros(2).arrays


def test_columns_of_records_are_an_argument() -> None:
    call = OPERATORS["similarity6d"].bind({"a": RECORDS, "b": Vector6DColumns.zeros(3).arrays})
    assert dict(call.sizes) == {"Q": 2, "N": 3}
    assert OPERATORS["similarity6d"].rowed == ("a",)
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize(("number", "said"), [(np.nan, "must not contain NaN"), (-np.inf, "must be finite, not -inf")])
def test_scored_numbers_are_finite(name: str, number: float, said: str) -> None:
    column = RECORDS[name].copy()
    column.flat[-1] = number
    with pytest.raises(InputError, match=rf"^b\.{name} {said}"):
        OPERATORS["similarity6d"].bind({"a": RECORDS, "b": {**RECORDS, name: column}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"links": np.array([0, 9], np.uint8)}, r"^a\.links must be at most 8, not 9"),
        ({"embedding": np.zeros((2, 511), np.float16)}, r"^a\.embedding must have 512 = 512, not 511"),
        ({"timestamp": np.zeros(2, np.int64)}, r"^a\.timestamp must have dtype uint64, not int64"),
        ({"colour": np.zeros(2)}, "not 'colour'"),
        ({"horizon": np.zeros(3, np.float16)}, r"^a\.horizon must have Q = 2, not 3"),
    ],
)
def test_bad_columns(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        OPERATORS["similarity6d"].bind({"a": {**RECORDS, **change}, "b": RECORDS})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": np.full((1, 2), np.nan, np.float32)}, "a must not contain NaN"),
        ({"b": np.full((1, 2), np.inf, np.float32)}, "b must be -1000000000000000.0 to 1000000000000000.0, not inf"),
        ({"b": np.zeros((1, 3), np.float32)}, "b must have D = 2, not 3"),
        ({"a_time": np.array([1e13])}, "a_time must be -1000000000000.0 to 1000000000000.0, not 1"),
        ({"b_time": np.zeros(1, np.float32)}, "b_time must have dtype float64, not float32"),
        ({"a": np.zeros((1, 0), np.float32), "b": np.zeros((1, 0), np.float32)}, "D must be 1 to 65536, not 0"),
    ],
)
def test_bad_vectors_and_times(change: dict[str, Any], said: str) -> None:
    one = np.zeros((1, 2), np.float32)
    with pytest.raises(InputError, match=said):
        OPERATORS["batch_similarity"].bind({"a": one, "b": one, "a_time": np.zeros(1), "b_time": np.zeros(1), **change})
