"""Damaged segments: written entries are read back, and damage gives neither wrong data nor another kind of error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ninefold.host.index import Index
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError
from tests.host.accidents import ACCIDENTS, Accidents, damaged
from tests.host.index.made import entries_of, made

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VECTORS = np.random.default_rng(5).normal(0, 1, (7, 5)).astype(np.float16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build an index of seven entries."""
    base = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        patch.setenv("NINEFOLD_CACHE", str(base / "cache"))
        made(base / "index", VECTORS)
        yield base / "index"


@settings(max_examples=20, deadline=None, derandomize=True)
@given(texts=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=7, max_size=7, unique_by=lambda text: text[0]))
def test_any_texts_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, str]]) -> None:
    entries = [Entry(*text) for text in texts]
    index = made(tmp_path_factory.mktemp("texts") / "index", VECTORS, entries=entries)
    assert list(index) == entries
    assert [index.get(entry.id) for entry in entries] == entries


@settings(max_examples=150, deadline=None, derandomize=True)
@given(accidents=ACCIDENTS)
@example(accidents=[(0.0, "fill", ord("["))])
@example(accidents=[(0.99, "change", 0x80)])
def test_damage_to_a_segment_is_seen_or_changes_nothing(folder: Path, accidents: Accidents) -> None:
    (path,) = (folder / "segments").iterdir()
    good = path.read_bytes()
    bad = damaged(good, accidents)
    said = ""
    try:
        path.write_bytes(bad)
        with Index.open(str(folder)) as index:
            index.verify()
            assert list(index) == entries_of(7)
    except DamagedDataError as error:
        said = str(error)
    finally:
        path.write_bytes(good)
    assert (str(path) in said) == changed(good, bad)


def changed(good: bytes, bad: bytes) -> bool:
    """Return whether anything but the zeros between two arrays differs."""
    if len(good) != len(bad):
        return True
    start = good.rindex(b'{"arrays"')
    arrays = json.loads(good[start : good.rindex(b"}") + 1])["arrays"].values()
    used = set(range(start, len(good)))
    for dtype, shape, offset, _ in arrays:
        used |= set(range(offset, offset + int(np.dtype(dtype).itemsize * np.prod(shape))))
    return any(good[at] != bad[at] for at in used)


@pytest.mark.parametrize("name", ["manifest.json", "data.mdb"])
@pytest.mark.parametrize("size", [0, 1, 100])
def test_truncated_files(folder: Path, name: str, size: int) -> None:
    path = folder / name
    good = path.read_bytes()
    try:
        path.write_bytes(good[:size])
        with pytest.raises(DamagedDataError, match=name):
            Index.open(str(folder))
    finally:
        path.write_bytes(good)
    assert len(Index.open(str(folder))) == 7
