"""Index and search on the command line: every kind of source, real texts, printed output."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from ninefold.host import Index
from tests.cli.conftest import Run


def hits(result: Result) -> list[str]:
    assert result.exit_code == 0, result.stderr
    return [hit["id"] for hit in json.loads(result.stdout)["hits"]]


def test_texts(ninefold: Run, notes: Path) -> None:
    made = ninefold("index", notes, "-o", "notes")
    assert made.exit_code == 0
    assert "3 entries, 384 dimensions" in made.stdout
    question = ["search", "notes", "looking after insects that make honey", "--json"]
    assert hits(ninefold(*question))[0] == "bees.txt:1"
    assert hits(ninefold(*question, "--rerank", "4", "-k", "2"))[0] == "bees.txt:1"
    assert len(hits(ninefold(*question, "-k", "2"))) == 2
    shown = ninefold("search", "notes", "how to bake")
    assert ninefold("search", "notes", "how", "to", "bake").stdout == shown.stdout
    first = shown.stdout.splitlines()[1]
    last = " ".join(shown.stdout.splitlines()[4:])
    assert first.split()[0] == "1"
    assert "Bread" in first
    assert "Knead the dough" in first
    assert last == "answered by cpu; score: dot product of the nits"
    explain = ["--rerank", "2", "--explain"]
    again = " ".join(ninefold("search", "notes", "how to bake", *explain).stdout.split())
    assert re.search(r"; embedding of the query taken from the cache in \S+ [mu]?s; searched in ", again)
    explained = " ".join(ninefold("search", "notes", "how to bake a loaf", *explain).stdout.split())
    assert "answered by cpu; score: dot product of the float vectors cpu by path numpy: " in explained
    assert re.search(
        r"; query embedded by cpu in \S+ m?s, including the start of the model; searched in \S+ [mu]?s; ", explained
    )
    assert re.search(r"; reranked in \S+ [mu]?s ", explained)


def test_the_report_says_who_answered(ninefold: Run, notes: Path) -> None:
    ninefold("index", notes, "-o", "./notes.index")
    report = json.loads(ninefold("search", "./notes.index", "rain", "--device", "cpu", "--json").stdout)
    assert [report[name] for name in ("asked_for", "answered_by", "why", "path")] == [
        "cpu",
        "cpu",
        "asked for by name",
        "numpy",
    ]
    assert report["metrics"]["seconds"] > 0
    assert report["embed_seconds"] > 0
    assert (report["rows"], report["dimensions"], report["source"]) == (3, 384, str(notes))
    roof = report["hits"][0]
    assert (roof["rank"], roof["id"], roof["title"]) == (1, "house/roof.txt:1", "")
    assert roof["text"].startswith("Replace cracked tiles")
    assert roof["score"] == max(hit["score"] for hit in report["hits"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"note": "Knead the dough."}\n{"note": "A hive full of bees."}\n{"note": ""}\n'),
        ("a.csv", "id,note\n,Knead the dough.\n,A hive full of bees.\n,\n"),
    ],
)
def test_tables(ninefold: Run, folders: Path, name: str, content: str) -> None:
    (folders / name).write_text(content)
    made = ninefold("index", name, "-o", "t", "--column", "note")
    assert made.exit_code == 0
    assert "2 entries, 1 skipped" in made.stdout
    assert made.stderr.strip() == f"skipped {name}:{3 if name == 'a.jsonl' else 4}: empty"
    assert hits(ninefold("search", "t", "insects", "--json"))[0] == f"{name}:{2 if name == 'a.jsonl' else 3}"


def test_files_of_other_kinds_are_counted(ninefold: Run, folders: Path) -> None:
    (folders / "d").mkdir()
    for name in ("a.txt", "b.txt", "c.pdf", "d.py"):
        (folders / "d" / name).write_text(f"Knead the dough of {name}.")
    made = ninefold("index", "d", "-o", "t", "--strict")
    assert "2 entries, 2 files of other kinds skipped, 384 dimensions" in made.stdout


def test_vectors(ninefold: Run, indexed: Path, vectors: Path) -> None:
    assert hits(ninefold("search", "v", "17", "-k", "3", "--json"))[0] == "17"
    np.save("q.npy", np.load(vectors)[42])
    assert hits(ninefold("search", "v", "q.npy", "-k", "3", "--json"))[0] == "42"
    kept = json.loads(ninefold("search", "v", "17", "-k", "50", "--threshold", "adaptive", "--json").stdout)["hits"]
    assert 0 < len(kept) < 50


def test_the_mode_can_be_chosen(ninefold: Run, vectors: Path) -> None:
    for mode in ("tanh", "linear"):
        assert ninefold("index", vectors, "-o", mode, "--mode", mode, "--no-vectors").exit_code == 0
        index = Index.open(mode)
        assert (index.generation.mode, list(index.database.arrays)) == (mode, ["nits"])


def test_force(ninefold: Run, indexed: Path, vectors: Path) -> None:
    refused = ninefold("index", vectors, "-o", "v", "--mode", "tanh")
    assert (refused.exit_code, "--force replaces it" in refused.stderr) == (2, True)
    assert Index.open("v").generation.mode == "linear"
    assert ninefold("index", vectors, "-o", "v", "--mode", "tanh", "--force").exit_code == 0
    assert Index.open("v").generation.mode == "tanh"


def test_eval(ninefold: Run, indexed: Path) -> None:
    report = json.loads(ninefold("eval", "v", "--json").stdout)
    plain, reranked = report["qualities"]
    assert (report["queries"], plain["name"], reranked["name"]) == (200, "plain", "reranked from 40")
    assert 0.5 < plain["recall"] <= reranked["recall"] <= 1
    table = ninefold("eval", "v").stdout
    assert f"{plain['recall']:.4f}" in table
    assert "200 of 200 entries searched for by cpu (numpy)" in table


def test_another_models_index_is_refused(ninefold: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ninefold("index", notes, "-o", "notes")
    from ninefold.host.index import embedding

    class Other:
        digest = "0" * 64

    class Embedder:
        model = Other()

    monkeypatch.setattr(embedding, "embedder", Embedder)
    result = ninefold("search", "notes", "bees")
    assert result.exit_code == 2
    assert "but 000000000000 is in use" in result.stderr


def test_a_device_that_fails_to_embed_is_reported(ninefold: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ninefold.host.index import read

    embed_query = read.embed_query
    failed = "openvino:NPU: the compiler has no memory"
    monkeypatch.setattr(read, "embed_query", lambda *a: replace(embed_query(*a), fallbacks=(failed,)))
    ninefold("index", notes, "-o", "notes")
    result = ninefold("search", "notes", "bees", "--json")
    assert result.stderr == f"warning: {failed}\n"
    assert json.loads(result.stdout)["fallbacks"] == [failed]


def test_brackets_are_shown_as_they_are(ninefold: Run, folders: Path) -> None:
    (folders / "a.md").write_text("# [bold]list[int][/bold]\nA list of [red]numbers[/].\n")
    ninefold("index", "a.md", "-o", "a")
    shown = ninefold("search", "a", "numbers").stdout
    assert "[bold]list[int][/bold]" in shown
    assert "A list of [red]numbers[/]." in shown
