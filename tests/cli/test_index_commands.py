"""Commands that change and inspect an index: add, remove, list, info, compact, verify, drop, and updates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ninefold.host import Index
from ninefold.numerics.vector6d import Vector6DColumns, encode
from tests.cli.conftest import Run
from tests.conformance.cases.similarity6d import drawn

VERSION1 = Path(__file__).parents[1] / "fixtures" / "index1"


def said(ninefold: Run, *words: str | Path) -> str:
    done = ninefold(*words)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_an_update_embeds_and_writes_only_what_changed(
    ninefold: Run, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(ninefold, "index", notes, "-o", "notes")
    (notes / "bees.txt").write_text("Smoke calms a hive before it is opened.\n")
    (notes / "tea.txt").write_text("Green tea is brewed at eighty degrees.\n")
    (notes / "bread.md").unlink()
    from ninefold.host.index import update

    embed, texts = update.embed_source, []
    monkeypatch.setattr(update, "embed_source", lambda some, *rest: (texts.extend(some), embed(some, *rest))[1])
    shown = said(ninefold, "index", notes, "-o", "notes", "--update")
    assert shown.endswith("notes: 1 added, 1 replaced, 0 removed, 1 unchanged\n")
    assert texts == ["Smoke calms a hive before it is opened.", "Green tea is brewed at eighty degrees."]
    assert said(ninefold, "index", "notes", "-o", "notes", "--update", "--delete").endswith(
        "notes: 0 added, 0 replaced, 1 removed, 3 unchanged\n"
    )
    assert [entry.id for entry in Index.open("notes")] == ["house/roof.txt:1", "bees.txt:1", "tea.txt:1"]
    found = json.loads(said(ninefold, "search", "notes", "hot drinks", "--json"))
    assert found["hits"][0]["id"] == "tea.txt:1"


def test_entries_are_added_and_removed(ninefold: Run, notes: Path, folders: Path) -> None:
    said(ninefold, "index", notes, "-o", "notes")
    (folders / "more.jsonl").write_text('{"id": "tea", "text": "Brew it."}\n{"id": "bees.txt:1", "text": "New."}\n')
    assert said(ninefold, "index", "add", "notes", "more.jsonl").endswith(
        "notes: 1 added, 1 replaced, 0 removed, 0 unchanged\n"
    )
    assert said(ninefold, "index", "remove", "notes", "tea", "gone").endswith("1 entry removed; not found: gone\n")
    assert Index.open("notes").get("bees.txt:1").text == "New."  # type: ignore[union-attr]
    assert Index.open("notes").get("tea") is None


def test_a_filter_finds_the_best_of_what_meets_it(ninefold: Run, folders: Path) -> None:
    lines = [{"text": f"Tea number {n}.", "id": str(n), "year": 2000 + n, "tag": ["a", "b"][n % 2]} for n in range(8)]
    (folders / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said(ninefold, "index", "t.jsonl", "-o", "t")
    built = ninefold("index", "t.jsonl", "-o", "c", "--field", "year:int", "--field", "size:int")
    assert "no entry has the field size, which is declared" in built.stderr
    found = json.loads(said(ninefold, "search", "c", "tea", "--where", "year >= 2005", "--json"))
    assert sorted(hit["id"] for hit in found["hits"]) == ["5", "6", "7"]
    assert "the filter read columns only" in said(ninefold, "search", "c", "tea", "--where", "year >= 2005")
    for words, message in (
        (("--field", "year"), "a field must be declared as NAME:TYPE"),
        (("--field", "year:int", "--field", "year:str"), "the field 'year' is declared twice"),
        (("--field", "year:bool", "--strict"), "its field 'year' must be true or false, not 2000"),
        (("--update", "--field", "year:int"), "leave out --field"),
    ):
        refused = ninefold("index", "t.jsonl", "-o", "d", *words)
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
    (folders / "more.jsonl").write_text('{"text": "Tea number 9.", "id": "9", "year": 2009, "tag": "a"}\n')
    said(ninefold, "index", "add", "t", "more.jsonl")
    words = ["search", "t", "tea", "--where", 'year >= 2003 and tag == "a"', "--json"]
    assert sorted(hit["id"] for hit in json.loads(said(ninefold, *words))["hits"]) == ["4", "6", "9"]
    assert "the filter read the fields of 9 entries" in " ".join(said(ninefold, *words[:-1]).split())
    everything = [
        hit["id"] for hit in json.loads(said(ninefold, "search", "t", "tea", "--json", "--scan", "signs"))["hits"]
    ]
    best = [hit["id"] for hit in json.loads(said(ninefold, *words, "-k", "1", "--scan", "signs"))["hits"]]
    assert best == [name for name in everything if name in ("4", "6", "9")][:1]
    nothing = ninefold("search", "t", "tea", "--where", "yaer == 2003")
    assert nothing.exit_code == 0
    assert "warning: no entry meets the filter; entries have the fields tag (string), year (number)" in nothing.stderr
    refused = ninefold("search", "t", "tea", "--oversample", "4")
    assert (refused.exit_code, "leave out oversample 4" in refused.stderr) == (2, True)
    before = len(Index.open("t"))
    for words in (("index", "t.jsonl", "-o", "t", "--update", "--delete"), ("index", "add", "t", "t.jsonl")):
        refused = ninefold(*words, "--column", "txt")
        assert (refused.exit_code, "nothing to index in t.jsonl: all" in refused.stderr) == (2, True)
    assert len(Index.open("t")) == before
    refused = ninefold("search", "t", "tea", "--where", "year >>")
    assert (refused.exit_code, "^" in refused.stderr) == (2, True)


def test_vectors_are_updated_too(ninefold: Run, indexed: Path, vectors: Path) -> None:
    rows = np.load(vectors)
    rows[3] += 1
    np.save("changed.npy", np.concatenate([rows[:150], rows[:1]]))
    assert said(ninefold, "index", "changed.npy", "-o", "v", "--update", "--delete").endswith(
        "v: 0 added, 2 replaced, 49 removed, 149 unchanged\n"
    )
    assert len(Index.open("v")) == 151
    refused = ninefold("index", "add", "v", "changed.npy", "--strict")
    assert refused.exit_code == 0
    (vectors.parent / "a.txt").write_text("text")
    for words, message in (
        (("index", "add", "v", "a.txt"), "v holds vectors: it is updated from a .npy file, not from a.txt"),
        (("index", "a.npy", "-o", "v", "--update", "--force"), "leave out --force"),
        (("index", "a.npy", "-o", "v", "--delete"), "--delete needs --update"),
        (("index", "add", "gone", "changed.npy"), "there is no index gone, only v"),
        (("index", "drop", "gone", "--yes"), "there is no index gone, only v"),
    ):
        done = ninefold(*words)
        assert (done.exit_code, message in done.stderr) == (2, True), done.stderr


def test_what_an_index_is_made_of(ninefold: Run, indexed: Path) -> None:
    said(ninefold, "index", "remove", "v", "7", "8")
    report = json.loads(said(ninefold, "index", "info", "v", "--json"))
    (segment,) = report["segments"]
    assert (report["rows"], report["tail"], segment["rows"], segment["dead"]) == (198, 0, 200, 2)
    assert (report["generation"], report["dead_share"], report["best_recall"]) == (1, 0.01, pytest.approx(1, abs=0.02))
    assert report["bytes"] == sum(path.stat().st_size for path in indexed.rglob("*") if path.is_file())
    assert set(report["fit"]) == {"recall", "best_recall", "drifted", "lacks_clusters"}
    lines = said(ninefold, "index", "info", "v").splitlines()
    assert lines[0] == f"v: 198 entries of 16 dimensions, {report['bytes'] / 1e6:.1f} MB in {indexed}"
    assert lines[2].endswith("nits and float vectors, without clusters")
    assert lines[4] == "1 segment, 1.0% of their rows dead; 0 entries in the tail"
    assert lines[5].startswith(f"segment {segment['digest'][:12]}: 200 rows, 2 dead, ")
    assert lines[6].startswith("the scale fits: recall ")
    assert len(lines) == 7
    assert said(ninefold, "index", "verify", "v") == "v: 198 entries, no damage\n"
    shown = said(ninefold, "index", "recalibrate", "v", "--mode", "tanh")
    assert shown.startswith("v: generation 2 of 198 entries without clusters after ")
    assert "mode tanh, scale " in shown
    assert said(ninefold, "index", "compact", "v").startswith("v: 198 entries in one segment after ")
    assert json.loads(said(ninefold, "index", "info", "v", "--json"))["segments"][0]["rows"] == 198


def test_all_indexes_are_listed(ninefold: Run, indexed: Path) -> None:
    assert json.loads(said(ninefold, "index", "list", "--json"))[0]["name"] == "v"
    shutil.copytree(indexed, indexed.parent / "bad")
    (indexed.parent / "bad" / "manifest.json").write_text("{}")
    lines = said(ninefold, "index", "list").splitlines()
    assert lines[0].split()[:2] == ["index", "entries"]
    assert lines[1].split()[0] == "bad"
    assert lines[-1].split()[:2] == ["v", "200"]
    shutil.rmtree(indexed.parent)
    assert json.loads(said(ninefold, "index", "list", "--json")) == []


def test_an_old_index_is_converted(ninefold: Run, folders: Path) -> None:
    shutil.copytree(VERSION1 / "texts", folders / "old")
    refused = ninefold("index", "remove", "./old", "a")
    assert (refused.exit_code, "`ninefold index compact ./old` converts it" in refused.stderr) == (2, True)
    shown = said(ninefold, "index", "compact", "./old")
    assert shown.splitlines()[1:] == [
        "converted from format version 1: 9 entries",
        "2 repeated ids got a suffix, such as ~2",
    ]
    assert said(ninefold, "index", "remove", "./old", "a").endswith("1 entry removed\n")


def test_an_index_is_dropped_after_a_question(ninefold: Run, indexed: Path, folders: Path) -> None:
    assert ninefold("index", "drop", "v").exit_code == 130
    assert indexed.exists()
    with Index.open("v") as reader, reader.snapshot() as snapshot:
        assert said(ninefold, "index", "drop", "v", "--yes") == "v: removed\n"
        assert len(snapshot) == 200
    assert not indexed.exists()
    assert ninefold("index", "drop", "v", "--yes").exit_code == 2
    (folders / "photos").mkdir()
    (folders / "photos" / "cat.jpg").write_text("cat")
    refused = ninefold("index", "drop", "./photos", "--yes")
    assert "is not an index" in refused.stderr
    assert (folders / "photos" / "cat.jpg").exists()


def test_a_source_that_is_called_like_a_command(ninefold: Run, notes: Path, folders: Path) -> None:
    notes.rename(folders / "list")
    assert "3 entries" in said(ninefold, "index", "./list", "-o", "a")
    assert "3 entries" in said(ninefold, "index", "-o", "b", "./list")
    assert "3 entries" in said(ninefold, "index", "build", "list", "-o", "c")


def test_an_index_of_context_vectors(ninefold: Run, folders: Path) -> None:
    records = Vector6DColumns(drawn(np.random.default_rng(2), 40))
    encode(records).tofile(folders / "records.bin")
    encode(records[5:7]).tofile(folders / "queries.bin")
    assert "40 entries, 512 dimensions" in said(ninefold, "index", "records.bin", "-o", "contexts")
    assert "context vectors: `ninefold search --context" in said(ninefold, "index", "info", "contexts")
    found = json.loads(said(ninefold, "search", "contexts", "--context", "queries.bin", "-k", "3", "--format", "json"))
    assert [one["hits"][0]["id"] for one in found] == ["5", "6"]
    assert {one["score"] for one in found} == {"similarity6d of the records"}
    assert set(found[0]["hits"][0]["fields"]) == {"modality", "time", "intent"}
    for words, message in (
        ((), "give one of QUERY, --queries and --context"),
        (("--context", "queries.bin", "--context", "b.bin"), "--context is given 2 times, and takes one file"),
        (("--queries", "a.npy", "--queries", "b.npy"), "--queries is given 2 times, and takes one file"),
    ):
        refused = ninefold("search", "contexts", *words)
        assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
    refused = ninefold("search", "contexts", "--context", "queries.bin", "--rerank", "4")
    assert refused.exit_code == 2
    assert "--context scores by similarity6d on this machine; leave out --rerank" in refused.stderr
