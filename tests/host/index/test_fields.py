"""Declared fields of an index: kept as columns of its segments and of its tail, and filtered by them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.index import Index
from ninefold.host.index.filters import parse
from ninefold.host.index.read import Snapshot
from ninefold.host.index.recalibrate import recalibrate
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.index.made import made

DIMENSIONS = 4
FIELDS = {"year": "int", "lang": "str", "new": "bool", "price/unit": "float"}
FILTERS = (
    'year >= 2004 and lang == "de"',
    'not year < 2007 or lang in ["fr", ""]',
    "exists year and new == true",
    "`price/unit` > 1.5",
)


@pytest.fixture(autouse=True)
def numpy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")


def vectors_of(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (rows, DIMENSIONS)).astype(np.float16)


def entry(n: int) -> Entry:
    fields: dict[str, Any] = {"year": 2000 + n % 10, "lang": ["de", "fr", "\u00e9", ""][n % 4], "other": n}
    fields |= {"new": n % 3 == 0, "price/unit": n / 8}
    if n % 5 == 0:
        del fields["year"], fields["lang"]
    return Entry(f"id {n}", "", f"text {n}", fields)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made(tmp_path / "index", vectors_of(12), entries=[entry(n) for n in range(12)], fields=FIELDS).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        yield index


def agrees(snapshot: Snapshot) -> bool:
    """Return whether each filter admits the same entries by columns as by records."""
    for text in FILTERS:
        condition = parse(text)
        mask = np.unpackbits(snapshot.allowed(condition), count=len(snapshot), bitorder="little").view(bool)
        assert snapshot.search(vectors_of(1)[0], 3, where=text).scanned == 0  # type: ignore[union-attr]
        if mask.tolist() != [condition.matches(one.fields) for one in snapshot]:
            return False
    return True


def test_columns_follow_every_change(index: Index) -> None:
    for change in (
        lambda: index.upsert([entry(n) for n in range(12, 30)], vectors_of(18, 1)),
        lambda: index.delete(["id 3", "id 14", "id 15"]),
        lambda: index.upsert([entry(n) for n in (7, 29, 30)], vectors_of(3, 2)),
        index.writer.seal,
        lambda: index.upsert([entry(n) for n in range(40, 50)], vectors_of(10, 3)),
        lambda: index.delete(["id 0", "id 20"]),
        index.compact,
    ):
        change()
        with index.snapshot() as snapshot, Index.open(str(index.folder)) as reader, reader.snapshot() as other:
            assert agrees(snapshot)
            assert agrees(other)
    index.close()
    recalibrate(str(index.folder))
    with Index.open(str(index.folder)) as reader, reader.snapshot() as snapshot:
        assert agrees(snapshot)
        condition = parse("other < 9")
        assert not condition.names <= snapshot.manifest.fields.keys()
        hits = snapshot.search(vectors_of(1)[0], 30, where="other < 9 and year >= 2000")
        assert hits.scanned == len(snapshot)  # type: ignore[union-attr]
        assert {hit.id for hit in hits} == {f"id {n}" for n in (1, 2, 4, 6, 7, 8)}  # type: ignore[union-attr]


def test_values_take_the_declared_types(index: Index) -> None:
    index.upsert([Entry("a", " A ", " text ", {"year": "1999", "new": "true", "price/unit": 2})], vectors_of(1))
    assert index.get("a") == Entry("a", "A", "text", {"year": 1999, "new": True, "price/unit": 2.0})
    with pytest.raises(InputError, match=r"^entry b cannot be indexed: its field 'year' must be an integer of 64 bits"):
        index.upsert([Entry("b", "", "text", {"year": "soon"})], vectors_of(1))
    with pytest.raises(InputError, match=r"^entry b cannot be indexed: its title holds a NUL character"):
        index.upsert([Entry("b", "a\0b", "text")], vectors_of(1))
    assert index.get("b") is None
    assert index.upsert([Entry("b", "no text", "")], vectors_of(1)).added == 1


def test_a_damaged_column_names_its_file(index: Index, tmp_path: Path) -> None:
    (path,) = (tmp_path / "index" / "segments").iterdir()
    index.close()
    manifest = tmp_path / "index" / "manifest.json"
    content = json.loads(manifest.read_text())
    from ninefold.host.index.manifest import Manifest

    Manifest(DIMENSIONS, content["model"], True, {**FIELDS, "size": "int"}).write(tmp_path / "index")
    advice = f"`ninefold doctor {tmp_path / 'index'}` says what can be saved"
    message = rf"{path.name}: the column 'size' has no array present; {re.escape(advice)}$"
    with pytest.raises(DamagedDataError, match=message):
        Index.open(str(tmp_path / "index"))
