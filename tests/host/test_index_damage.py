"""Damaged index folders: written data is read back, and damage gives neither wrong data nor another kind of error."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ninefold.host.index import Index, atomic, build, write
from ninefold.host.index.format import FILES, MANIFEST, NITS, OFFSETS, TEXTS, VECTORS, Manifest
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError
from tests.host.accidents import ACCIDENTS, Accidents, damaged

ENTRIES = [Entry(f"id {n}", "a title" if n % 2 else "", f"text {n} " * (n + 1)) for n in range(7)]
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def with_texts(folder: Path, entries: list[Entry]) -> Index:
    """Add texts to an index of vectors, as `build` does with a model, and open it."""
    manifest = replace(Manifest.read(folder), model="a model", rows=len(entries), files={})
    (folder / MANIFEST).unlink()
    write._write_texts(folder, entries)
    write._finished(folder, manifest).write(folder)
    return Index.open(str(folder))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build an index of seven entries, with clusters."""
    base = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        patch.setenv("NINEFOLD_CACHE", str(base / "cache"))
        patch.setattr(write, "_CLUSTERED", 1)
        np.save(base / "rows.npy", np.random.default_rng(5).normal(0, 1, (len(ENTRIES), 5)))
        made = build(str(base / "rows.npy"), str(base / "index")).folder
        with_texts(made, ENTRIES)
        yield made


def test_it_is_whole(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    index = Index.open(str(folder))
    assert [index.entry(row) for row in range(len(index))] == ENTRIES


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=7, max_size=7))
def test_any_texts_come_back(folder: Path, texts: list[tuple[str, str, str]]) -> None:
    entries = [Entry(*text) for text in texts]
    try:
        index = with_texts(folder, entries)
        assert [index.entry(row) for row in range(len(index))] == entries
    finally:
        with_texts(folder, ENTRIES)


@pytest.mark.parametrize("name", [MANIFEST, NITS, OFFSETS, TEXTS, VECTORS])
@settings(max_examples=50, deadline=None, derandomize=True)
@given(accidents=ACCIDENTS)
@example(accidents=[(0.0, "fill", ord("["))])
def test_damage_is_seen_or_changes_nothing(folder: Path, name: str, accidents: Accidents) -> None:
    path, whole = folder / name, Index.open(str(folder))
    good = path.read_bytes()
    bad = damaged(good, accidents)
    said, found = "", None
    try:
        path.write_bytes(bad)
        found = Index.open(str(folder)).manifest
    except DamagedDataError as error:
        said = str(error)
    finally:
        path.write_bytes(good)
    if found is None:
        assert str(path) in said
    else:
        # White space in the manifest may change.
        assert bad == good or name == MANIFEST
        assert found == whole.manifest


@pytest.mark.parametrize("name", [NITS, OFFSETS, TEXTS, VECTORS])
@settings(max_examples=50, deadline=None, derandomize=True)
@given(accidents=ACCIDENTS)
@example(accidents=[(0.99, "change", 0x80)])
@example(accidents=[(0.0, "fill", ord("["))])
def test_where_nobody_verifies_it_is_still_no_error_of_another_kind(
    folder: Path, name: str, accidents: Accidents
) -> None:
    path = folder / name
    good = path.read_bytes()
    try:
        path.write_bytes(damaged(good, accidents))
        with contextlib.suppress(DamagedDataError):
            index = Index.open(str(folder), verify=False)
            for row in range(len(index)):
                assert isinstance(index.entry(row), Entry)
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("exchange", [True, False])
def test_an_open_index_keeps_its_files_while_it_is_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    target = tmp_path / "a"
    shutil.copytree(folder, target)
    old = Index.open(str(target))
    vectors = np.array(old.vectors)
    with atomic.new_folder(target) as new:
        for path in folder.iterdir():
            shutil.copyfile(path, new / path.name)
        changed = with_texts(new, [Entry(f"other {n}", "", "short") for n in range(7)])
    assert [old.entry(row) for row in range(len(old))] == ENTRIES
    assert np.array_equal(old.vectors, vectors)
    assert Index.open(str(target)).entry(6) == changed.entry(6) == Entry("other 6", "", "short")


def test_an_index_that_is_replaced_while_it_is_opened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, read, others = tmp_path / "a", Manifest.read, [tmp_path / str(n) for n in range(3)]
    for other in (target, *others):
        shutil.copytree(folder, other)
        with_texts(other, [Entry(f"{other.name} {n}", "", "a longer text") for n in range(7)])

    def late(place: Path) -> Manifest:
        manifest = read(place)
        if others:
            other = others.pop()
            with atomic.new_folder(target) as new:
                for path in other.iterdir():
                    shutil.copyfile(path, new / path.name)
        return manifest

    monkeypatch.setattr(Manifest, "read", late)
    index = Index.open(str(target))
    assert not others
    assert [index.entry(row).id for row in range(7)] == [f"0 {n}" for n in range(7)]
