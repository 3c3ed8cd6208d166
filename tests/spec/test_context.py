"""Columns of records as arguments, and what the operators on context vectors refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.numerics.vector6d import Vector6DColumns
from ninefold.spec.context import SCORED, WEIGHTS
from ninefold.spec.errors import InputError
from ninefold.spec.finite import check_finite_halves
from ninefold.spec.operators import OPERATORS

RECORDS = Vector6DColumns.zeros(2).arrays


def test_columns_of_records_are_an_argument() -> None:
    call = OPERATORS["similarity6d"].bind({"a": RECORDS, "b": Vector6DColumns.zeros(3).arrays})
    assert dict(call.sizes) == {"Q": 2, "N": 3}
    assert OPERATORS["similarity6d"].rowed == ("a",)
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize(
    ("number", "said"), [(np.nan, "must be finite, not nan"), (-np.inf, "must be finite, not -inf")]
)
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


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7C01, 0xFE00, 0xFFFF])
def test_every_pattern_that_is_not_finite_is_found(bits: int) -> None:
    finite = np.r_[0:0x7C00, 0x8000:0xFC00].astype(np.uint16).view(np.float16)
    check_finite_halves("x", finite)
    check_finite_halves("x", np.tile(finite, 3).reshape(-1, 62)[:, ::2])
    check_finite_halves("x", finite[:0])
    for place in (0, 40_000, -1):
        wrong = np.tile(finite, 3)
        wrong.view(np.uint16)[place] = bits
        for shaped in (wrong, wrong.reshape(-1, 62), wrong[::-1]):
            with pytest.raises(InputError, match=f"^x must be finite, not {wrong[place]}$"):
                check_finite_halves("x", shaped)
