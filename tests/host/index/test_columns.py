"""Columns of declared fields: their arrays, on disk and back, and damage to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.index.columns import FieldColumn
from ninefold.host.sources import DeclaredField
from ninefold.spec.errors import DamagedDataError, InputError

WORDS = DeclaredField("lang", "str")


def test_the_arrays_of_a_column() -> None:
    column = FieldColumn.of(WORDS, ["de", None, "a", "de", "\u00e9", "", "de", "de", "a"])
    assert column.present.tolist() == [0b11111101, 1]
    assert column.values.tolist() == [2, 0, 1, 2, 3, 0, 2, 2, 1]
    assert column.words.tobytes().decode() == "ade\u00e9"
    assert column.starts.tolist() == [0, 0, 1, 3, 5]
    assert {name: array.dtype.name for name, array in column.arrays.items()} == {
        "present": "uint8",
        "values": "int32",
        "words": "uint8",
        "starts": "int64",
    }
    assert FieldColumn.of(DeclaredField("x", "int"), [None, 3]).values.tolist() == [0, 3]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(["int", "float", "str", "bool"]).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.lists(
                st.none()
                | {
                    "int": st.integers(-(2**63), 2**63 - 1),
                    "float": st.floats(allow_nan=False, allow_infinity=False),
                    "str": st.text(st.characters(exclude_categories=["Cs"])),
                    "bool": st.booleans(),
                }[kind],
                max_size=20,
            ),
        )
    )
)
def test_values_come_back_from_mapped_files(
    tmp_path_factory: pytest.TempPathFactory, content: tuple[Any, list[Any]]
) -> None:
    kind, values = content
    column, folder = FieldColumn.of(DeclaredField("x", kind), values), tmp_path_factory.mktemp("column")
    for name, array in column.arrays.items():
        np.save(folder / name, array)
    # A file of no numbers cannot be mapped.
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r" if array.nbytes else None)
        for name, array in column.arrays.items()
    }
    loaded = FieldColumn.of_arrays(column.field, arrays)
    assert len(loaded) == len(values)
    assert loaded.at(np.arange(len(values))) == values
    assert loaded.exists().tolist() == [value is not None for value in values]
    again = FieldColumn.of(column.field, loaded.at(np.arange(len(values))[::-1]))
    assert again.at(np.arange(len(values))) == values[::-1]
    for value in values:
        if value is not None:
            assert loaded.compare("==", value).tolist() == [one == value and one is not None for one in values]


def test_values_of_another_type_are_refused() -> None:
    for kind, value in (("int", 1.0), ("int", True), ("float", 1), ("bool", 1), ("int", "1")):
        with pytest.raises(InputError):
            FieldColumn.of(DeclaredField("x", kind), [None, value])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("present", np.zeros(2, np.uint8), r"present must be uint8 of shape \(1,\), not uint8 of shape \(2,\)"),
        ("values", np.zeros(2, np.int64), r"values must be int32 of shape \(2,\), not int64"),
        ("starts", np.zeros(0, np.int64), r"starts must be int64 of shape \(1,\), not int64 of shape \(0,\)"),
        ("words", np.zeros(9, np.uint8), r"words must be uint8 of shape \(2,\), not uint8 of shape \(9,\)"),
        ("words", None, r"the column 'lang' has no array words"),
    ],
)
def test_damaged_arrays_are_refused(name: str, array: Any, message: str) -> None:
    arrays = FieldColumn.of(WORDS, ["de", None]).arrays
    del arrays[name]
    with pytest.raises(DamagedDataError, match=message):
        FieldColumn.of_arrays(WORDS, arrays if array is None else arrays | {name: array})


@pytest.mark.parametrize("kind", ["int", "str", "bool", "float"])
def test_rows_of_several_columns_are_joined(kind: Any) -> None:
    field = DeclaredField("x", kind)
    made: dict[str, list[Any]] = {
        "int": [3, None, -7, 2**62, 5, None],
        "str": ["b", None, "a", "\u00e9", "", "b"],
        "bool": [True, None, False, True, None, False],
        "float": [0.5, None, -1.5, 1e300, 2.0, 0.0],
    }
    values = made[kind]
    columns = [FieldColumn.of(field, values), FieldColumn.of(field, values[::-1]), FieldColumn.of(field, [])]
    rows = [np.array([4, 0, 1]), np.array([5, 5, 2]), np.array([], np.int64)]
    found = FieldColumn.joined(columns, rows)
    wanted = [values[4], values[0], values[1], values[0], values[0], values[3]]
    again = FieldColumn.of(field, wanted)
    for name, array in again.arrays.items():
        assert array.dtype == found.arrays[name].dtype
        assert array.tolist() == found.arrays[name].tolist(), name
