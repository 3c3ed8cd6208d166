"""Diagnosis of damaged indexes, and entries that are saved from them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host import sources
from ninefold.host.cli import cli
from ninefold.host.index import Index, diagnosis, environment, place, write
from ninefold.host.index.diagnosis import diagnose
from ninefold.host.index.environment import Environment
from ninefold.host.index.manifest import Manifest, read_manifest
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
    with pytest.raises(InputError, match=r"^there is no index none, only notes$"):
        diagnose("none")
    assert diagnose("notes", index.parent / "saved.jsonl").entries == ROWS


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


@pytest.mark.parametrize("size", [10, -1, -20])
def test_a_truncated_segment_names_doctor(index: Path, size: int) -> None:
    (segment,) = (index / "segments").iterdir()
    os.truncate(segment, size if size > 0 else segment.stat().st_size + size)
    said = rf"^{segment} is truncated.*; `ninefold doctor {index}` says what can be saved$"
    with pytest.raises(DamagedDataError, match=said):
        Index.open(str(index))
    assert "`ninefold doctor" not in diagnose("notes").segments[0].problem  # doctor itself has said it


def test_a_file_is_replaced_only_by_force(index: Path, tmp_path: Path) -> None:
    for name, there in (("saved.jsonl", "saved.jsonl"), ("saved.npy", "saved.jsonl"), ("vectors.npy", "vectors.npy")):
        (tmp_path / there).write_text("mine")
        code, said = run("doctor", "notes", "--save", str(tmp_path / name))
        assert (code, said) == (2, f"error: {tmp_path / there} exists; --force replaces it\n")
        assert (tmp_path / there).read_text() == "mine"
    save = str(tmp_path / "saved.jsonl")
    assert run("doctor", "notes", "--save", save, "--force")[0] == 0
    assert sources.read(save) == entries()
    code, said = run("doctor", "notes", "--force")
    assert (code, "--force replaces the file of --save, which is not given" in said) == (2, True)


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


PAGE = 4096


def overwritten(path: Path, damage: str) -> None:
    """Overwrite pages of a file of tables."""
    content = bytearray(path.read_bytes())
    pages = range(0, len(content), PAGE)
    if damage == "a record":
        (at,) = (page for page in pages if b'"id 250"' in content[page : page + PAGE])
        content[at : at + PAGE] = b"\xff" * PAGE
    elif damage == "an id":
        # Leaves of `ids` hold no text; the first page of versions is page 0.
        at = next(page for page in reversed(pages) if content[page + 10] == 2 and content[page + 12] > 100)
        content[at : at + PAGE] = bytes(PAGE)
    elif damage == "no keys":
        # Pages that lead to others, without keys: LMDB aborts the process.
        for at in (page for page in pages if content[page + 10] == 1):
            content[at + 12 : at + 16] = (16).to_bytes(2, "little") + PAGE.to_bytes(2, "little")
    else:
        content[2 * PAGE :] = b"\xff" * (len(content) - 2 * PAGE)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "least", "most", "said"),
    [
        ("a record", 100, ROWS - 1, "CORRUPTED"),
        ("an id", ROWS, ROWS, "was ended by SIGABRT"),
        ("no keys", 0, 0, "was ended by SIGABRT"),
        ("all", 0, 0, "CORRUPTED"),
    ],
)
def test_overwritten_tables(index: Path, tmp_path: Path, damage: str, least: int, most: int, said: str) -> None:
    manifest = Manifest.of(read_manifest(index), index)
    overwritten(index / "data.mdb", damage)
    code, shown = run("doctor", "notes", "--save", str(tmp_path / "saved.jsonl"))
    assert code == 1
    lines = shown.splitlines()
    assert lines[1] == f"  {index}/data.mdb is damaged: it cannot be read to the end"
    assert said in lines[2]
    saved = (tmp_path / "saved.jsonl").read_text().splitlines()
    assert least <= len(saved) <= most
    assert lines[-1].endswith(f"{len(saved)} entries written")
    # It is replaced whole, as writing into it would fail.
    assert write._same(index, manifest) is None
    advice = f"`ninefold doctor {index}` says what can be saved"
    damaged = re.escape(f"{index}/data.mdb is damaged: ") + r"(?:page \d+|it) .*; " + re.escape(advice)
    with pytest.raises(DamagedDataError, match=f"^{damaged}$"), Index.open(str(index)) as opened:
        opened.verify()
    for command in (("index", "verify", "notes"), ("search", "notes", "0")):
        code, shown = run(*command)
        assert code
        assert advice in shown


def test_a_list_of_segments_that_is_no_list(index: Path) -> None:
    path = index / "data.mdb"
    path.write_bytes(path.read_bytes().replace(b'"segments": [{"digest"', b'"segments": [{"dig_st"'))
    with pytest.raises(DamagedDataError, match=r"^the list of segments is damaged: .*; rebuild the index$"):
        Index.open(str(index))
    found = diagnose("notes")
    assert (found.entries, found.tables) == (ROWS, "KeyError: 'digest'")


def test_tables_that_cannot_be_read_in_time(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 60\n")
    endless.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(endless))
    monkeypatch.setattr(diagnosis, "_LIMIT_S", 0.2)
    found = diagnose("notes")
    assert (found.entries, found.tables) == (0, f"{index}/data.mdb: reading it was given up after 0.2 seconds")
    monkeypatch.setattr(environment, "_READ_ALL_S", 0.2)
    monkeypatch.setattr(Environment, "bytes", 8192)
    with pytest.raises(DamagedDataError, match=rf"^{index}/data.mdb: reading it was given up after 0\.2 seconds$"):
        Index.open(str(index))


def test_unused_pages_at_the_end_need_not_be_in_the_file(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "bytes", 8192)
    with Index.open(str(index)) as opened:
        assert len(opened) == ROWS


def test_a_lost_manifest_and_a_missing_file(index: Path) -> None:
    assert run("index", "backup", "notes", str(index.parents[1] / "backups"))[0] == 0
    (index / "manifest.json").write_text("{}")
    found = diagnose("notes")
    assert (found.entries, found.manifest, found.tables) == (ROWS, None, "")
    assert "manifest.json is not the manifest" in found.problems[0]
    assert (
        "builds the index from them (repeat the `--field` and `--no-vectors` that it was built with)"
        in found.advice()[1]
    )
    (index / "manifest.json").unlink()
    assert diagnose("notes").problems == (f"{index} is not an index: it has no manifest.json",)
    assert run("index", "restore", "notes", str(index.parents[1] / "backups"), "--force")[0] == 0
    assert not diagnose("notes").damaged
    (index / "data.mdb").unlink()
    found = diagnose("notes")
    assert (found.entries, found.tables) == (0, f"{index}/data.mdb is missing")
    assert "`ninefold index SOURCE -o notes --force`" in found.advice()[1]


def test_the_advice_keeps_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    folder, fields = tmp_path / "indexes" / "notes", {"year": "int", "kind": "str"}
    made(folder, vectors_of(ROWS), entries=entries(), model="a model", keep=False, fields=fields).close()
    overwritten(folder / "data.mdb", "a record")
    rebuild = "`ninefold index FILE.jsonl -o notes --force --field year:int --field kind:str --no-vectors` builds"
    assert rebuild in diagnose("notes").advice()[1]


def test_vectors_are_saved_with_their_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    folder, rows = tmp_path / "indexes" / "notes", vectors_of(ROWS + 100)
    made(folder, rows[:ROWS], entries=entries()).close()
    (first,) = (folder / "segments").iterdir()
    late = [Entry(f"late {n}", f"row {n}", "", {"n": n}) for n in range(100)]
    with Index.open(str(folder), "w") as index:
        index.upsert(late[:60], rows[ROWS : ROWS + 60])
        index.writer.seal()
        index.upsert(late[60:], rows[ROWS + 60 :])
        index.delete(["id 7", "late 3", "late 70"])
    wanted = [*entries(), *late]
    alive = [n for n, entry in enumerate(wanted) if entry.id not in ("id 7", "late 3", "late 70")]

    def check(save: Path, kept: list[int]) -> None:
        assert np.array_equal(np.load(save), rows[kept])
        lines = [json.loads(line) for line in save.with_suffix(".jsonl").read_text().splitlines()]
        found = [Entry(line.pop("id"), line.pop("title"), line.pop("text"), line) for line in lines]
        assert found == [wanted[n] for n in kept]

    save = tmp_path / "saved.npy"
    assert run("doctor", "notes", "--save", str(save)) == (
        0,
        f"{folder}: no damage\n{save} and saved.jsonl: {len(alive)} entries written\n",
    )
    check(save, alive)
    content = bytearray(first.read_bytes())
    content[100] ^= 1
    first.write_bytes(content)
    code, said = run("doctor", "notes", "--save", str(save), "--force")
    assert code == 1
    left = [n for n in alive if n >= ROWS]
    assert said.endswith(f"{save} and saved.jsonl: {len(left)} entries written\n")
    assert "`ninefold doctor notes --save FILE.npy` writes the vectors that can be read" in said
    check(save, left)
    # The advice of the page: build from the vectors, then give them their entries.
    assert run("index", str(save), "-o", "again")[0] == 0
    with Index.open("again", "w") as index, index.transaction():
        index.delete([entry.id for entry in index])
        index.upsert([wanted[n] for n in left], np.load(save))
    with Index.open("again") as index:
        assert list(index) == [wanted[n] for n in left]
        assert np.array_equal(index.vectors, rows[left])


def test_vectors_that_cannot_be_saved(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    made(tmp_path / "indexes" / "nits", vectors_of(ROWS), keep=False).close()
    saved = tmp_path / "saved.npy"
    with pytest.raises(InputError, match=rf"^the vectors of nits cannot be saved: it keeps no .* out of {saved}$"):
        diagnose("nits", saved)
    (index / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"^the vectors of notes cannot be saved: its manifest is lost; "):
        diagnose("notes", saved)
    assert not saved.exists()


def test_all_indexes_are_looked_at(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(index, index.parent / "good")
    (index / "manifest.json").unlink()
    code, said = run("doctor")
    assert code == 1
    assert [line.split(":")[0] for line in said.splitlines() if line.startswith("damaged")] == ["damaged  notes"]
    # What is refused for another reason is not called damaged.
    mounts = index.parents[1] / "mounts"
    mounts.write_text(f"30 21 0:26 / {index.parent} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    labels = [line.split(":")[0] for line in run("doctor")[1].splitlines() if line.startswith(("damaged", "unopened"))]
    assert labels == ["unopened good", "damaged  notes"]
    assert run("doctor", "--save", "x")[0] == 2
