"""Diagnosis of damaged indexes, and entries that are saved from them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host import sources
from ninefold.host.cli import cli
from ninefold.host.index import Index
from ninefold.host.index.diagnosis import diagnose
from ninefold.host.index.environment import Environment
from ninefold.host.sources import Entry
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.index.made import made

ROWS = 300


def vectors_of(rows: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (rows, 6)).astype(np.float16)


def entries() -> list[Entry]:
    return [Entry(f"id {n}", f"title {n}", f"text {n}" * 40, {"year": 1900 + n}) for n in range(ROWS)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnosis") / "index"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        made(folder, vectors_of(ROWS), entries=entries(), model="a model").close()
    return folder


@pytest.fixture
def index(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    shutil.copytree(whole, tmp_path / "indexes" / "notes")
    return tmp_path / "indexes" / "notes"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*words], prog_name="ninefold")
    return result.exit_code, result.output


def test_an_undamaged_index(index: Path) -> None:
    assert not diagnose("notes").damaged
    assert run("doctor", "notes") == (0, f"{index}: no damage\n")
    with pytest.raises(InputError, match=rf"^there is no index {index.parent}/none$"):
        diagnose("none")


def test_entries_of_a_damaged_segment_are_saved(index: Path, tmp_path: Path) -> None:
    (segment,) = (index / "segments").iterdir()
    content = bytearray(segment.read_bytes())
    content[100] ^= 1
    segment.write_bytes(content)
    code, said = run("doctor", "notes", "--save", str(tmp_path / "saved.jsonl"))
    assert code == 1
    lines = said.splitlines()
    assert lines[0] == f"{index} is damaged"
    assert lines[1].startswith(f"  {segment} is damaged: the SHA-256 of its nits")
    assert lines[2] == f"  tables: {ROWS} entries can be read"
    assert lines[3].startswith(f"  segment {segment.stem[:12]}: {ROWS} rows, {segment} is damaged")
    assert lines[4] == "  with a backup: `ninefold index restore notes FOLDER --force` restores all of it"
    assert lines[5].startswith(
        "  without one: `ninefold doctor notes --save FILE.jsonl` writes the entries that can be"
    )
    assert lines[6] == f"{tmp_path}/saved.jsonl: {ROWS} entries written"
    assert sources.read(str(tmp_path / "saved.jsonl")) == entries()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated_tables_are_noticed_at_once(index: Path, tmp_path: Path, share: float) -> None:
    path = index / "data.mdb"
    size = int(path.stat().st_size * share)
    os.truncate(path, size)
    said = rf"^{path} is truncated: it has {size:,} bytes; `ninefold doctor {index}` says what can be saved$"
    with pytest.raises(DamagedDataError, match=said):
        Index.open(str(index))
    found = diagnose("notes", tmp_path / "saved.jsonl")
    assert found.damaged
    assert found.tables
    assert found.entries == len((tmp_path / "saved.jsonl").read_text().splitlines()) < ROWS
    assert [one.problem for one in found.segments] == [""]
    assert [one.rows for one in found.segments] == [ROWS]
    assert ("--save" in found.advice()[1]) == (found.entries > 0)


def test_unused_pages_at_the_end_need_not_be_in_the_file(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "bytes", 8192)
    with Index.open(str(index)) as opened:
        assert len(opened) == ROWS


def test_a_lost_manifest_and_a_missing_file(index: Path) -> None:
    (index / "manifest.json").write_text("{}")
    found = diagnose("notes")
    assert (found.entries, found.texts, found.tables) == (ROWS, None, "")
    assert "manifest.json is not the manifest" in found.problems[0]
    (index / "data.mdb").unlink()
    found = diagnose("notes")
    assert (found.entries, found.tables) == (0, f"{index}/data.mdb is missing")
    assert "`ninefold index SOURCE -o notes --force`" in found.advice()[1]


def test_all_indexes_are_looked_at(index: Path) -> None:
    shutil.copytree(index, index.parent / "good")
    (index / "manifest.json").unlink()
    code, said = run("doctor")
    assert code == 0
    assert [line.split(":")[0] for line in said.splitlines() if line.startswith("damaged")] == ["damaged  notes"]
    assert run("doctor", "--save", "x")[0] == 2
