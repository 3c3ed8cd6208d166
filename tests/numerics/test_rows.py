"""Rows of arrays, records and ragged arrays: any cut joins again to the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics import rows
from ninefold.spec.data import RaggedArray


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    lengths = draw(st.lists(st.integers(0, 3), max_size=6))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    ragged = RaggedArray(generator.integers(0, 99, (sum(lengths), 2)), np.cumsum([0, *lengths]))
    return {"x": generator.normal(size=(len(lengths), 3)), "links": ragged}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(column) for name, column in value.items()}
    return [one.tolist() for one in value]


@settings(max_examples=100, deadline=None)
@given(record=records(), data=st.data())
def test_any_cut_joins_to_the_whole(record: dict[str, Any], data: st.DataObject) -> None:
    n = rows.count(record)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    parts = [rows.take(record, slice(a, b)) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    assert [rows.count(part) for part in parts] == np.diff([0, *cuts, n]).tolist()
    for part in parts:
        assert part["links"].offsets[0] == 0
        assert rows.form(part) == rows.form(record)
    whole = rows.join(parts)
    assert plain(whole) == plain(record)
    assert rows.size(whole) == rows.size(record)


def test_forms_tell_apart_what_cannot_be_joined() -> None:
    ragged = RaggedArray(np.zeros((3, 2)), np.array([0, 3]))
    forms = [
        rows.form(value)
        for value in (
            np.zeros((2, 3)),
            np.zeros((2, 4)),
            np.zeros((2, 3), np.float32),
            {"x": np.zeros((2, 3))},
            {"y": np.zeros((2, 3))},
            ragged,
            ragged.values,
        )
    ]
    assert len(set(forms)) == len(forms)
