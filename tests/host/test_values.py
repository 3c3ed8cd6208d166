"""Arguments from words: each number in the first dtype that holds it exactly, complex and unsigned ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host.values import read_argument
from ninefold.spec.errors import InputError
from ninefold.spec.signature import Tensor


def read(text: str, *dtypes: str) -> Any:
    return read_argument(Tensor("x", ("...",), dtypes), text)


@pytest.mark.parametrize(
    ("text", "dtypes", "wanted"),
    [
        ('["1+2j", 3, "-0.5j"]', ("complex64",), np.array([1 + 2j, 3, -0.5j], np.complex64)),
        ('[["1e-3+0.1j"]]', ("complex64",), np.array([[1e-3 + 0.1j]], np.complex64)),
        ('["1+2j"]', ("float32", "complex64"), np.array([1 + 2j], np.complex64)),
        ("[1.5]", ("float32", "complex64"), np.array([1.5], np.float32)),
        # A mixture of large and small integers is not rounded to float64 on its way.
        ("[18446744073709551615, 9223372036854775809, 1]", ("uint64",), np.array([2**64 - 1, 2**63 + 1, 1], np.uint64)),
        ("[4294967295]", ("int32", "uint32"), np.array([2**32 - 1], np.uint32)),
        ("[1, 2]", ("uint64", "uint32"), np.array([1, 2], np.uint64)),
        ("[0.1, NaN, Infinity]", ("float32",), np.array([0.1, np.nan, np.inf], np.float32)),
        ("3", ("int8",), np.array(3, np.int8)),
        ("[]", ("int8",), np.array([], np.int8)),
    ],
)
def test_numbers(text: str, dtypes: tuple[str, ...], wanted: np.ndarray[Any, Any]) -> None:
    found = read(text, *dtypes)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("text", "dtypes", "said"),
    [
        ("[-1]", ("uint64", "uint32"), r"x must be numbers that uint64 or uint32 holds exactly, not \[-1\]"),
        ("[18446744073709551616]", ("uint64",), "x must be numbers that uint64 holds exactly, not "),
        ("[16777217]", ("float32",), "x must be numbers that float32 holds exactly, not "),
        ("[1.5]", ("int32",), "x must be numbers that int32 holds exactly, not "),
        ('["1+2i"]', ("complex64",), r'x must be numbers such as 3 or "1\+2j", not \'1\+2i\''),
        ('["1+2j"]', ("float32",), r'x must be JSON numbers, not \["1\+2j"\]'),
        ("[true]", ("int8",), r"x must be JSON numbers, not \[true\]"),
        ("[[1], [1, 2]]", ("int8",), "x must be JSON numbers in lists of equal lengths, not "),
    ],
)
def test_refusals(text: str, dtypes: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        read(text, *dtypes)
