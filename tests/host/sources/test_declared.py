"""Declared fields: how they are named, and which values they take."""

from __future__ import annotations

from typing import Any

import pytest

from ninefold.host.sources import DeclaredField, Entry, checked
from ninefold.spec.errors import InputError


def test_a_declaration_is_a_name_and_a_type() -> None:
    assert DeclaredField.parse("year:int") == DeclaredField("year", "int")
    assert DeclaredField.parse("dc:title:str") == DeclaredField("dc:title", "str")
    for text in ("year", "year:", ":int", " :int", "year:Int", "year:list"):
        with pytest.raises(
            InputError, match=r"^a field must be declared as NAME:TYPE, TYPE one of int, float, str, bool"
        ):
            DeclaredField.parse(text)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", 2020, 2020),
        ("int", " 2020", 2020),
        ("int", "-7", -7),
        ("int", 3.0, 3),
        ("int", "1e3", 1000),
        ("int", 2**63 - 1, 2**63 - 1),
        ("int", "9223372036854775807", 2**63 - 1),
        ("float", 3, 3.0),
        ("float", "0.1", 0.1),
        ("float", "1", 1.0),
        ("str", "", ""),
        ("str", "x", "x"),
        ("bool", False, False),
        ("bool", "TRUE", True),
    ],
)
def test_values(kind: Any, given: Any, value: Any) -> None:
    found = DeclaredField("x", kind).value(given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", ["int", "float", "str", "bool"])
def test_null_is_missing_and_so_is_an_empty_cell(kind: Any) -> None:
    assert DeclaredField("x", kind).value(None) is None
    assert DeclaredField("x", kind).value("") == ("" if kind == "str" else None)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("int", [True, 2.5, "2.5", "x", "1_000", "\u0661", 2**63, "-9223372036854775809", "inf", [1], {}]),
        ("float", [False, "x", "nan", "-inf", 2**53 + 1, 10**400, "1e999", []]),
        ("str", [0, True, 1.5, ["a"]]),
        ("bool", [0, 1, "yes", "1", []]),
    ],
)
def test_values_of_other_types_are_refused(kind: Any, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(InputError, match=r"^its field 'x' must be .*, not "):
            DeclaredField("x", kind).value(value)
    with pytest.raises(InputError, match=r"not '1{39}\.\.\.$"):
        DeclaredField("x", "bool").value("1" * 100)


def test_an_entry_that_is_checked_has_its_declared_fields_in_their_types() -> None:
    fields = {"year": "2020", "gone": "", "other": [None]}
    declared = (DeclaredField("year", "int"), DeclaredField("gone", "float"), DeclaredField("missing", "str"))
    assert checked(Entry("1", " t ", " a\n", fields), declared) == Entry("1", "t", "a", {"year": 2020, "other": [None]})
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for odd, why in (
        ({"x": float("nan")}, r"its fields are not JSON \(Out of range float values"),
        ({"x": {1}}, r"its fields are not JSON \(Object of type set"),
        ({7: 1}, "the name of a field must be a string, not 7"),
        ({"x": deep}, "its fields are nested too deeply"),
    ):
        with pytest.raises(InputError, match=f"^{why}"):
            checked(Entry("1", "", "a", odd))  # type: ignore[arg-type]
