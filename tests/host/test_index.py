"""Index folder: written completely or not at all, and checked when opened."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host import Index, build
from ninefold.host.index import generations, locate, write
from ninefold.host.index.atomic import new_folder
from ninefold.host.index.environment import DATA, LOCK
from ninefold.host.index.manifest import MANIFEST, Manifest, read_manifest
from ninefold.host.index.segments import FOLDER
from ninefold.host.index.tables import Tables
from ninefold.numerics.nits import unpack
from ninefold.sim.golden.calibrate import calibrate
from ninefold.sim.golden.quantise import quantise
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import MODES, Mode


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, (120, 15)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path, rows: np.ndarray) -> str:
    np.save(tmp_path / "rows.npy", rows)
    return str(tmp_path / "rows.npy")


@pytest.mark.parametrize("mode", MODES)
def test_it_holds_what_the_golden_models_say(source: str, rows: np.ndarray, mode: Mode) -> None:
    built = build(source, "a", mode=mode)
    index = Index.open("a")
    scale, kept = calibrate(rows, mode), rows.astype(np.float16)
    assert (index.generation.scale, index.generation.mode, len(index)) == (scale, mode, 120)
    nits = quantise(kept.astype(np.float32), scale, mode)
    assert np.array_equal(unpack(np.asarray(index.database.arrays["nits"]), 15), nits)
    assert np.array_equal(index.vectors, kept)
    assert (built.manifest, built.generation) == (index.manifest, index.generation)
    assert sorted(path.name for path in index.folder.iterdir()) == sorted([MANIFEST, DATA, LOCK, FOLDER, "writer.lock"])
    (segment,) = (index.folder / FOLDER).iterdir()
    assert segment.stem == index.database.digest


def test_rows_beyond_one_block(source: str, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    build(source, "whole")
    monkeypatch.setattr(write, "BLOCK_ROWS", 7)
    monkeypatch.setattr(generations, "BLOCK_ROWS", 7)
    monkeypatch.setattr(generations, "SAMPLE_ROWS", 1000)
    build(source, "blocks")
    assert Index.open("blocks").database.digest == Index.open("whole").database.digest


def test_the_scale_of_many_rows_comes_from_a_sample(
    source: str, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "SAMPLE_ROWS", 50)
    chosen = np.sort(np.random.default_rng(9).choice(120, 50, replace=False))
    build(source, "a", mode="tanh")
    assert Index.open("a").generation.scale == calibrate(rows[chosen], "tanh")


def test_the_same_source_gives_the_same_bytes(source: str) -> None:
    build(source, "a")
    build(source, "b")
    assert Index.open("a").database.digest == Index.open("b").database.digest


def test_one_row(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.array([[0.5, -0.25, 0]]))
    build(str(tmp_path / "one.npy"), "a")
    assert [hit.row for hit in Index.open("a").search(0, 5)] == [0]
    np.save(tmp_path / "one.npy", np.ones((1, 3)))
    with pytest.raises(InputError, match=r"has one row, and all its numbers are equal$"):
        build(str(tmp_path / "one.npy"), "b")


def test_without_vectors(source: str) -> None:
    build(source, "a", vectors=False)
    index = Index.open("a")
    assert list(index.database.arrays) == ["nits"]
    query = np.ones(15, np.float32)
    assert len(index.search(query, 3)) == 3
    for call in (lambda: index.search(query, 3, rerank=2), lambda: index.search(5)):
        with pytest.raises(InputError, match=r"has no float vectors"):
            call()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 3)), r"must have shape \(N, D\) with N of at least 1, not \(0, 3\)"),
        (np.zeros(3), r"N of at least 1, not \(3,\)"),
        (np.array([[1, 2], [np.nan, 1]]), r"row 1 holds nan in column 0$"),
        (np.array([[1, 2], [-7e4, 1]]), r"holds -70000, beyond the float16 range of 65504 .*, or use --no-vectors"),
        (np.ones((4, 3)), r"standard deviation is 0"),
    ],
)
def test_values_that_cannot_be_indexed(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    np.save(tmp_path / "rows.npy", rows)
    with pytest.raises(InputError, match=message):
        build(str(tmp_path / "rows.npy"), "a")
    assert not list((tmp_path / "data").glob("**/*"))


def test_bad_arguments(source: str) -> None:
    with pytest.raises(InputError, match=r"^mode must be one of tanh, linear, not 'cubic'$"):
        build(source, "a", mode="cubic")  # type: ignore[arg-type]
    for name in ("", ".", "..", ".hidden", "a\nb"):
        with pytest.raises(InputError, match=r"^the name of an index must be printable"):
            build(source, name)


def test_a_name_that_is_no_string() -> None:
    with pytest.raises(InputError, match=r"^the name of an index must be a string, not 5$"):
        Index.open(5)  # type: ignore[arg-type]


def test_names_and_paths(tmp_path: Path) -> None:
    assert locate("a") == tmp_path / "data" / "indexes" / "a"
    assert locate("./a") == Path("a")
    assert locate("/x/a") == Path("/x/a")


def test_an_index_is_replaced_only_when_asked(source: str, tmp_path: Path) -> None:
    folder = build(source, "a", mode="tanh").folder
    with pytest.raises(InputError, match=r"there is an index .*; --update changes it, --force replaces it$"):
        build(source, "a")
    reader = Index.open("a")
    assert (reader.generation.mode, reader.generation.number) == ("tanh", 1)
    build(source, "a", mode="linear", force=True)
    assert (reader.generation.mode, reader.generation.number) == ("linear", 2)
    build(source, "a", vectors=False, force=True)  # another identity: another folder
    assert (reader.generation.number, reader.manifest.vectors, len(reader)) == (1, False, 120)
    assert [path.name for path in folder.parent.iterdir()] == ["a"]


def test_what_is_not_an_index_is_never_replaced(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_text("cat")
    for target in (folder, folder / "cat.jpg"):
        with pytest.raises(InputError, match=r"exists and is not an index, so it is not replaced$"):
            build(source, str(target), force=True)
    assert (folder / "cat.jpg").read_text() == "cat"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("there", [False, True])
def test_a_failure_leaves_what_was_there(
    source: str, monkeypatch: pytest.MonkeyPatch, error: BaseException, there: bool
) -> None:
    folder = locate("a")
    if there:
        build(source, "a", mode="tanh")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Tables, "switch", fail)
    with pytest.raises(type(error)):
        build(source, "a", mode="linear", force=True)
    monkeypatch.undo()
    assert [path.name for path in folder.parent.iterdir()] == (["a"] if there else [])
    if there:
        assert Index.open(str(folder)).generation.mode == "tanh"


def test_leftovers_of_a_killed_process_are_removed_and_work_in_progress_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".a.1234.partial"
    left.mkdir()
    (left / "f").write_text("x")
    with new_folder(tmp_path / "a") as first:
        assert not left.exists()
        with new_folder(tmp_path / "a") as second:
            assert first.is_dir()
            (second / "f").write_text("second")
        (first / "f").write_text("first")
    assert (tmp_path / "a" / "f").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def segment_of(folder: Path) -> Path:
    (segment,) = (folder / FOLDER).iterdir()
    return segment


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (flip, "truncated or damaged"),
        (cut, "truncated or damaged"),
        (lengthen, "truncated or damaged"),
        (Path.unlink, "missing"),
    ],
)
def test_damage_is_seen_and_the_file_named(source: str, damage: Callable[[Path], None], word: str) -> None:
    path = segment_of(build(source, "a").folder)
    damage(path)
    with pytest.raises(DamagedDataError, match=rf"^{path} is {word}"):
        Index.open("a")
    build(source, "a", force=True)
    Index.open("a").verify()


def test_content_is_checked_when_it_is_verified(source: str) -> None:
    path = segment_of(build(source, "a").folder)
    good, index = path.read_bytes(), Index.open("a")
    index.verify()
    for at, array in ((5, "nits"), (1000, "vectors")):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(DamagedDataError, match=rf"^{path} is damaged: the SHA-256 of its {array} is not"):
            Index.open("a").verify()
    path.write_bytes(good)
    index.verify()


def test_every_byte_of_the_manifest_counts(source: str) -> None:
    path = build(source, "a").folder / MANIFEST
    good, manifest = path.read_bytes(), Index.open("a").manifest
    seen = 0
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            # White space may change without changing the meaning.
            assert Manifest.of(read_manifest(path.parent), path.parent) == manifest
        except DamagedDataError:
            seen += 1
    assert seen > 0.8 * len(good)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DamagedDataError, match=rf"^{path} is damaged: "):
        Index.open("a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "is not the manifest of a Ninefold index"),
        ([], "is not the manifest of a Ninefold index"),
        ({"format": "other"}, "is not the manifest of a Ninefold index"),
        ({"format": "ninefold index", "version": 3}, "has format version 3; this Ninefold reads 1 and 2"),
    ],
)
def test_foreign_manifests(source: str, content: Any, message: str) -> None:
    path = build(source, "a").folder / MANIFEST
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedDataError, match=message):
        Index.open("a")


def test_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^there is no index gone; `ninefold index SOURCE -o NAME` builds one$"):
        Index.open("gone")
    with pytest.raises(DamagedDataError, match=r"is not an index: it has no manifest\.json$"):
        Index.open(str(tmp_path))


def test_search_by_row_and_by_vector(source: str, rows: np.ndarray) -> None:
    build(source, "a")
    index = Index.open("a")
    hits = index.search(17, 4)
    assert hits.hits[0].row == 17
    assert hits.hits[0].entry.title == "row 17"
    assert [h.row for h in index.search(np.asarray(index.vectors[17], np.float32), 4)] == [h.row for h in hits]
    assert (hits.result.answered_by, hits.embed_seconds) == ("cpu", 0)
    assert [[h.row for h in found] for found in index.search([17, rows[3]], 4)] == [
        [h.row for h in index.search(query, 4)] for query in (17, rows[3])
    ]
    assert index.search([]) == []
    again = index.search(rows[17].astype(np.float64)[None], 4, rerank=3)
    assert isinstance(again.hits[0].score, float)
    assert len(index.search(0, 200)) == 120
    assert len(index.search(0, 100, threshold="adaptive")) < 100


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (np.ones(14, np.float32), {}, r"^the query has 14 dimensions, the index 15$"),
        (np.ones((2, 15), np.float32), {}, r"shape \(D,\) or \(1, D\), not float32 \(2, 15\)$"),
        (np.ones(15, np.int64), {}, r"must be floats"),
        (np.full(15, np.nan), {}, r"^the query must hold finite numbers"),
        (120, {}, r"^row must be 0 to 119, not 120$"),
        (None, {}, r"^a query must be a text, the number of a row or an array of floats, not None$"),
        (True, {}, r"array of floats, not True$"),
        (-1, {}, r"^row must be 0 to 119, not -1$"),
        ("bees", {}, r"holds vectors: search it with a \.npy file or the number of a row$"),
        (0, {"k": 0}, r"^k must be an integer from 1 to 256, not 0$"),
        (0, {"k": 257}, r"^k must be an integer from 1 to 256, not 257$"),
        (0, {"k": 100, "rerank": 3}, r"^rerank \* k must be 1 to 256, not 300$"),
        (0, {"rerank": 0}, r"^rerank must be an integer from 1 to 256, not 0$"),
        (0, {"threshold": "low"}, r"^threshold must be one of adaptive, not 'low'$"),
        (0, {"device": "gpu"}, r"^device must be auto or one of .*cpu, "),
    ],
)
def test_bad_queries(source: str, query: Any, options: dict[str, Any], message: str) -> None:
    build(source, "a")
    with pytest.raises(InputError, match=message):
        Index.open("a").search(query, **options)


def test_force_spares_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    target = tmp_path / "index"
    target.mkdir()
    (target / "manifest.json").write_text("{}")
    (target / "precious.txt").write_text("mine")
    with pytest.raises(
        InputError, match=r"index holds precious.txt, which is not a file of an index, so it is not replaced$"
    ):
        write.check_target(target, force=True)
