"""Indexes of format version 1: read as one segment, checked when they are opened, and converted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings

from ninefold.host.index import Index, atomic, manifest
from ninefold.host.index.backup import backup
from ninefold.host.index.convert import convert
from ninefold.host.index.version1 import FILES
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.accidents import ACCIDENTS, Accidents, damaged

pytestmark = pytest.mark.usefixtures("own_folders")

KEPT = Path(__file__).parents[2] / "fixtures" / "index1"
IDS = ["a", "b", "c", "a", "d", "e", "a", "f", "g"]
ENTRIES = [Entry(name, "a title" if n % 2 else "", f"text {n}") for n, name in enumerate(IDS)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT / "texts", tmp_path / "index"))


def test_it_is_read_as_one_segment(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    index = Index.open(str(folder))
    assert list(index) == ENTRIES
    assert index.get("a") == ENTRIES[6]
    assert index.get("z") is None
    rows = np.random.default_rng(5).normal(0, 1, (9, 6)).astype(np.float16)
    assert np.array_equal(index.vectors, rows)
    assert index.search(3, 4, rerank=2, device="cpu").result.values["ids"].shape == (1, 4)
    with pytest.raises(InputError, match=r"has format version 1, which is read only; `ninefold index compact .*index`"):
        Index.open(str(folder), "w")


def test_it_has_no_backups(folder: Path, tmp_path: Path) -> None:
    said = r"index has format version 1, which has no backups; `ninefold index compact` converts it$"
    with pytest.raises(InputError, match=said):
        backup(str(folder), tmp_path / "backups")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["writer.lock"]


def test_rows_of_vectors_have_titles(tmp_path: Path) -> None:
    assert Index.open(str(KEPT / "vectors")).entry(4) == Entry("4", "row 4", "")


def test_conversion_keeps_all_but_repeated_ids(folder: Path) -> None:
    old = Index.open(str(folder))
    before = old.search([3, 8], 9, rerank=2)
    assert convert(str(folder)) == [
        "converted from format version 1: 9 entries",
        "2 repeated ids got a suffix, such as ~2",
    ]
    assert convert(str(folder)) == []
    with Index.open(str(folder), "w") as index:
        assert [entry.id for entry in index] == ["a~2", "b", "c", "a~3", "d", "e", "a", "f", "g"]
        assert [entry.text for entry in index] == [entry.text for entry in ENTRIES]
        found = index.search([3, 8], 9, rerank=2)
        assert [[(h.row, h.score) for h in hits] for hits in found] == [
            [(h.row, h.score) for h in hits] for hits in before
        ]
        assert index.generation == old.generation
        assert set(index.database.arrays) == set(old.database.arrays)
        index.verify()
        index.delete(["a"])
        assert len(index) == 8
    assert len(old) == 9


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("name", sorted(FILES - {"manifest.json"}))
@pytest.mark.parametrize(("damage", "word"), [(flip, "damaged"), (cut, "truncated"), (Path.unlink, "missing")])
def test_damage_is_seen_and_the_file_named(folder: Path, name: str, damage: Callable[[Path], None], word: str) -> None:
    damage(folder / name)
    with pytest.raises(DamagedDataError, match=rf"^{folder / name} is {word}.*rebuild the index$"):
        Index.open(str(folder))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(KEPT / "texts", tmp_path_factory.mktemp("shared") / "index"))


@pytest.mark.parametrize("name", ["manifest.json", "nits.npy", "offsets.npy", "texts.jsonl", "vectors.npy"])
@settings(max_examples=50, deadline=None, derandomize=True)
@given(accidents=ACCIDENTS)
@example(accidents=[(0.0, "fill", ord("["))])
def test_damage_is_seen_or_changes_nothing(shared: Path, name: str, accidents: Accidents) -> None:
    path = shared / name
    good = path.read_bytes()
    bad = damaged(good, accidents)
    said, found = "", None
    try:
        path.write_bytes(bad)
        found = list(Index.open(str(shared)))
    except DamagedDataError as error:
        said = str(error)
    finally:
        path.write_bytes(good)
    if found is None:
        assert str(path) in said
    else:
        # White space in the manifest may change.
        assert bad == good or name == "manifest.json"
        assert found == ENTRIES


@pytest.mark.parametrize("exchange", [True, False])
def test_an_open_index_keeps_its_files_while_it_is_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    old = Index.open(str(folder))
    vectors = np.array(old.vectors)
    with atomic.new_folder(folder) as new:
        for path in (KEPT / "vectors").iterdir():
            shutil.copyfile(path, new / path.name)
    assert list(old) == ENTRIES
    assert np.array_equal(old.vectors, vectors)
    assert Index.open(str(folder)).entry(6) == Entry("6", "row 6", "")


def test_an_index_that_is_replaced_while_it_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, left = manifest.read_manifest, [1, 2, 3]

    def late(place: Path) -> object:
        content = read(place)
        if left:
            left.pop()
            with atomic.new_folder(folder) as new:
                for path in (KEPT / "vectors").iterdir():
                    shutil.copyfile(path, new / path.name)
        return content

    monkeypatch.setattr("ninefold.host.index.index.read_manifest", late)
    index = Index.open(str(folder))
    assert not left
    assert index.entry(6) == Entry("6", "row 6", "")
