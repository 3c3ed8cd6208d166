"""Payloads pack to bits and unpack to the same arrays, and what does not fit is refused with its value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.numerics.payloads import Column, check_columns, pack, unpack
from ninefold.spec.errors import InputError

BYTES = (Column("x", 8, True, (8,), 0), Column("w", 8, True, (8,), 64))
BITS = (Column("a", 3, False, (), 0), Column("b", 12, True, (3, 2), 3), Column("c", 64, True, (), 75))
WIDE = (Column("s", 19, True, (), 0),)


def word_of(columns: tuple[Column, ...], arrays: dict[str, Any], row: int) -> int:
    word = 0
    for column in columns:
        for index, value in enumerate(np.ravel(arrays[column.name][row]).tolist()):
            word |= (value & (1 << column.bits) - 1) << column.offset + index * column.bits
    return word


@pytest.mark.parametrize("columns", [BYTES, BITS, WIDE])
@pytest.mark.parametrize("count", [0, 1, 9000])
def test_bits_are_those_of_the_layout(columns: tuple[Column, ...], count: int) -> None:
    random = np.random.default_rng(1)
    arrays = {c.name: random.integers(c.low, c.high, (count, *c.shape), endpoint=True, dtype=c.dtype) for c in columns}
    size = -(-(columns[-1].offset + columns[-1].count * columns[-1].bits) // 8) + 2
    beats = pack(columns, arrays, size)
    assert beats.shape == (count, size)
    for row in range(0, count, 1000):
        assert int.from_bytes(beats[row].tobytes(), "little") == word_of(columns, arrays, row)
    for name, array in unpack(columns, beats).items():
        assert array.dtype == arrays[name].dtype
        assert np.array_equal(array, arrays[name])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": [[0] * 8]}, "the call must have x, w, not x"),
        ({"x": [[0] * 8], "w": [[0.5] * 8]}, r"w of the call must be integers \(w: int8 \(n, 8\)\), not float64"),
        (
            {"x": [[0] * 8], "w": [[0] * 7]},
            r"w of the call must have shape \(1, 8\) \(w: int8 \(n, 8\)\), not \(1, 7\)",
        ),
        ({"x": [[0] * 8], "w": [[0] * 8] * 2}, r"w of the call must have shape \(1, 8\) .*, not \(2, 8\)"),
        ({"x": [[-129] + [0] * 7], "w": [[0] * 8]}, "x of the call must be from -128 to 127, not -129"),
        ({"x": 3, "w": [[0] * 8]}, r"x of the call must have shape \(0, 8\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_columns("the call", BYTES, given)


def test_a_column_describes_itself() -> None:
    assert [str(column) for column in (*BITS, *WIDE)] == [
        "a: uint8 of 3 bits (n,)",
        "b: int16 of 12 bits (n, 3, 2)",
        "c: int64 (n,)",
        "s: int32 of 19 bits (n,)",
    ]
