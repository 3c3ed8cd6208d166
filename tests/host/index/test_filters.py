"""The filter language: meaning, errors, limits, and masks that equal the answers for single records."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.index.columns import FieldColumn
from ninefold.host.index.filters import parse
from ninefold.host.sources import DeclaredField
from ninefold.spec.errors import InputError

BOOK = {"lang": "de", "year": 2020, "price": 9.5, "new": True, "tag": ["a", "c", 7], "gone": None, "of": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('lang == "de" and year >= 2020 and tag in ["a", "b"]', True),
        ("lang == 'de'", True),
        ('lang != "de"', False),
        ('lang < "df" and lang > "d" and lang <= "de" and lang >= "de"', True),
        ("year == 2020.0 and year in [2020.0] and price in [9.5]", True),
        ("year == +2.020e3 and price > .5 and price < 10.", True),
        ("new == true and new != false and new in [true]", True),
        # Values of another kind, missing fields, null, lists and objects compare with nothing.
        ('year == "2020" or year != "2020" or lang == 1 or lang != 1', False),
        ("new == 1 or new in [1] or new != 1 or year in [true] or year == true", False),
        ('missing == "x" or missing != "x" or missing < "x" or missing in ["x"]', False),
        ('gone != "x" or of != "x" or tag != "a" or tag == "a" or of in [1]', False),
        ('not missing == "x" and not (missing != "x")', True),
        # A list holds if one of its elements does.
        ('tag in ["b", "c"] and tag in [7]', True),
        ('tag in ["b", "7", true]', False),
        ("lang in ['en', 'de',\n'fr']", True),
        # exists, priorities and names.
        ("exists lang and exists(tag) and exists of and not exists gone and not exists missing", True),
        ('lang == "en" and year == 1 or new == true', True),
        ('lang == "en" and (year == 1 or new == true)', False),
        ("not new == true or new == true", True),
        ("not (new == true or new == true)", False),
        ("`lang` == 'de' and not exists `a field`", True),
        ("exists android or exists nothing or exists order", False),
    ],
)
def test_meaning(text: str, holds: bool) -> None:
    assert parse(text).matches(BOOK) is holds
    assert parse(f"not ({text})").matches(BOOK) is not holds


def test_the_fields_that_are_asked_for_are_known() -> None:
    found = parse("a == 1 or not (b in [2] and exists `c d`) or dc.x-y == 'in'")
    assert found.names == {"a", "b", "c d", "dc.x-y"}


@pytest.mark.parametrize("text", ['"', "'", "\\", "\n\t\x01", "\u00e9\u4e2d\U0001f600", "it's \"q\" \\'", ""])
def test_strings_are_written_as_in_json_or_between_apostrophes(text: str) -> None:
    assert parse(f"x == {json.dumps(text)}").matches({"x": text})
    assert parse(f"x == {json.dumps(text, ensure_ascii=False)}").matches({"x": text})
    single = json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'")
    assert parse(f"x == '{single}'").matches({"x": text})


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("", "expected a field, not, exists or (, not the end", 0),
        ("year", "expected ==, !=, <, <=, >, >= or in, not the end", 4),
        ("year = 3", "equality is written ==", 5),
        ("a == 1 && b == 2", "& is written and", 7),
        ("a == 1 || b == 2", "| is written or", 7),
        ('a == "x', "the string is not closed", 5),
        ("`a == 1", "the name is not closed", 0),
        ("a in []", "expected a string, a number, true or false, not ']'", 6),
        ("a in [1 2]", "expected ] or a comma, not '2'", 8),
        ("a == null", "expected a string, a number, true or false, not 'null'", 5),
        ("a == 1 AND b == 2", "expected and, or or the end, not 'AND'", 7),
        ("(a == 1", "expected ), not the end", 7),
        ("a == 1 #", "expected and, or or the end, not '#'", 7),
        ("3 < a", "expected a field, not, exists or (, not '3'", 0),
        ("a < true", "a boolean can be compared by == and != only, not <", 4),
        ('a == "\\x"', r"the escapes of a string are \" \\ \/ \b \f \n \r \t \uXXXX", 5),
        ('a == "\\ud800"', "a string must hold Unicode characters, not half of a pair", 5),
        ("a == 1e999", "the number is too large", 5),
    ],
)
def test_errors_show_the_place(text: str, message: str, at: int) -> None:
    with pytest.raises(InputError) as raised:
        parse(text)
    assert str(raised.value) == f"the filter is wrong at character {at + 1}: {message}\n  {text}\n  {' ' * at}^"


def test_an_error_in_a_long_or_odd_text_shows_the_text_around_it() -> None:
    with pytest.raises(InputError) as raised:
        parse(f"{'x' * 50} ==\n\x1b 1 and {'y' * 50} == 2")
    escaped = f"...{'x' * 36} ==\\n"
    assert str(raised.value).splitlines()[1] == f"  {escaped}\\x1b 1 and {'y' * 32}..."
    assert str(raised.value).splitlines()[2] == f"  {' ' * len(escaped)}^"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 32_769, "a filter must have at most 32,768 characters, not 32,769"),
        (" or ".join(["a==1"] * 257), "a filter must have at most 256 comparisons, not 257"),
        (f"a in [{','.join('1' * 4097)}]", "a filter must have at most 4,096 values in all its lists, not 4,097"),
        ("not " * 8000 + "a==1", "a filter must have at most 32 levels of not, and, or"),
        ("(a==1 or " * 32 + "a==1" + ")" * 32, "a filter must have at most 32 levels of not, and, or"),
        ("(" * 30_000, "expected a field, not, exists or (, not the end"),
        (f"a == {'9' * 30_000}", "the number is too large"),
    ],
)
def test_limits(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        parse(text)
    assert message in str(raised.value)


def test_what_the_limits_admit() -> None:
    assert parse(" or ".join(["a==2"] * 255 + ["a==1"])).matches({"a": 1})
    assert parse(f"a in [{','.join(map(str, range(4096)))}]").matches({"a": 4095})
    assert parse("(a==2 or " * 31 + "a==1" + ")" * 31).matches({"a": 1})
    assert parse("(" * 10_000 + "a==1" + ")" * 10_000).matches({"a": 1})


PIECES = [
    "a",
    "in",
    "and",
    "or",
    "not",
    "exists",
    "true",
    "==",
    "<",
    "(",
    ")",
    "[",
    "]",
    ",",
    '"',
    "'",
    "`",
    "1",
    "-",
    ".",
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES) | st.characters(), max_size=12), st.sampled_from(["", " "]))
def test_any_text_is_a_filter_or_refused(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    try:
        parse(text).matches({"a": 1})
    except InputError as error:
        assert len(str(error).splitlines()) == 3  # noqa: PT017 - most texts are refused, and some are filters


FIELDS = [DeclaredField("i", "int"), DeclaredField("f", "float"), DeclaredField("s", "str"), DeclaredField("b", "bool")]
INTEGERS = st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63 - 512])
FLOATS = st.sampled_from([-2.0, -0.0, 0.5, 1.0, 2.5, 2.0**53, 2.0**63, -(2.0**63), 1e308, 5e-324])
STRINGS = st.text(st.sampled_from("ab\u00e9\uffff\U0001f600\"'\\ "), max_size=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {"int": INTEGERS, "float": FLOATS, "str": STRINGS, "bool": st.booleans()}
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={field.name: VALUES[field.type] for field in FIELDS}), max_size=20
)
#: Numbers of filters are also beyond the types of columns, and between their values.
NUMBERS = INTEGERS | FLOATS | st.sampled_from([2**63, -(2**63) - 1, 10**399, -(10**399), 2**53 + 3])


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from("ifsb"))
    kind = draw(st.sampled_from(["compare", "compare", "compare", "in", "exists"]))
    values = st.one_of(NUMBERS, STRINGS, st.booleans()).map(json.dumps)
    if kind == "exists":
        return f"exists {name}"
    if kind == "in":
        return f"{name} in [{', '.join(draw(st.lists(values, min_size=1, max_size=4)))}]"
    value = draw({"i": NUMBERS, "f": NUMBERS, "s": STRINGS, "b": st.booleans()}[name].map(json.dumps) | values)
    comparators = ["==", "!="] if value in ("true", "false") else ["==", "!=", "<", "<=", ">", ">="]
    return f"{name} {draw(st.sampled_from(comparators))} {value}"


FILTERS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(records=RECORDS, text=FILTERS)
def test_a_mask_is_what_matches_each_record(records: list[dict[str, Any]], text: str) -> None:
    columns = {field.name: FieldColumn.of(field, [record.get(field.name) for record in records]) for field in FIELDS}
    found = parse(text)
    mask = found.mask(columns)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [found.matches(record) for record in records]


def test_numbers_are_compared_exactly_at_the_ends_of_columns() -> None:
    most = 2**63
    integers = [-most, -most + 1, -(2**53) - 1, -1, 0, 1, 2**53, 2**53 + 1, most - 1024, most - 1]
    floats = [-float(most), -1.5, -0.0, 5e-324, 0.5, 2.0**53, 2.0**53 + 2, float(most), 1.7976931348623157e308]
    numbers = [*integers, *floats, 2**53 + 3, -(2**53) - 3, most, most + 1, -most - 1, 10**399, -(10**399), 1.5]
    for field, values in ((FIELDS[0], integers), (FIELDS[1], floats)):
        columns = {field.name: FieldColumn.of(field, [*values, None])}
        records = [*({field.name: value} for value in values), {}]
        for number in numbers:
            for comparison in (*(f"{one} {number}" for one in ("==", "!=", "<", "<=", ">", ">=")), f"in [{number}]"):
                found = parse(f"{field.name} {comparison}")
                assert found.mask(columns).tolist() == [found.matches(record) for record in records], comparison


def test_a_field_without_a_column_is_refused() -> None:
    columns = {"i": FieldColumn.of(FIELDS[0], [1, None])}
    assert parse("i == 1").mask(columns).tolist() == [True, False]
    with pytest.raises(InputError, match=r"^the filter asks for the field 'year', but the columns are i$"):
        parse("i == 1 or year == 2").mask(columns)
