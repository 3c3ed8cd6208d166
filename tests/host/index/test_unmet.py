"""Sentence for a filter that no entry meets."""

from pathlib import Path

import pytest

from ninefold.host.index import unmet as module
from ninefold.host.index.unmet import unmet
from ninefold.host.sources import Entry

from .made import made, vectors_of

FIELDS = [{"year": 2000, "b": True}, {"n": 1, "tags": ["x", "y"]}, {"n": "one", "none": None}, {}]


def test_fields_are_named_with_their_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [Entry(f"id {n}", "", "text", fields) for n, fields in enumerate(FIELDS)]
    with made(tmp_path / "notes", vectors_of(4), entries=entries, fields={"year": "int"}) as index:
        said = "b (boolean), n (number or string), none (null), tags (string), year (int)"
        assert unmet(index) == f"no entry meets the filter; entries have the fields {said}"
        monkeypatch.setattr(module, "_READ", 1)
        assert unmet(index) == (
            "no entry meets the filter; the first 1 entries have the fields b (boolean), year (int)"
        )


def test_no_fields(tmp_path: Path) -> None:
    with made(tmp_path / "notes", vectors_of(4)) as index:
        assert unmet(index) == "no entry meets the filter; entries have no fields"
