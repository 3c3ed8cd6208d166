"""Odd bytes from a source to the screen: indexed or refused, and never interpreted by the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ninefold.host.index import Index, embedding, read, write
from ninefold.spec.data import Result
from ninefold.spec.terminal import printable
from tests.cli.conftest import Run

NASTY = "\x1b[31mred\x1b]0;title\x07 nul\x01 \u202etxt\u2066 \x9b2J end\r over"


class Embedder:
    """Embedder whose vectors depend only on the length of a text."""

    model = SimpleNamespace(digest="0" * 64)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([np.random.default_rng(len(text)).normal(0, 0.05, 384) for text in texts]).astype(np.float32)


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "embed_source", lambda texts, *_: Embedder().embed(texts))
    for module in (embedding, write):
        monkeypatch.setattr(module, "embedder", Embedder)
    monkeypatch.setattr(read, "embed_query", lambda text, _: Result({"vectors": Embedder().embed([text])}))


def safe(*texts: str) -> None:
    for text in texts:
        assert text == printable(text, lines=True)


def files(folder: Path) -> None:
    nasty = json.dumps(NASTY)
    record = json.dumps({"id": NASTY, "title": NASTY, "text": NASTY, NASTY: 1})
    row = f'"{NASTY}"'
    for name, content in {
        b"tree/\x1b[2Jname.md": f"# {NASTY}\n\n{NASTY}\n\n```\n{NASTY}\n".encode(),
        b"tree/caf\xe9.md": b"coffee",
        b"tree/\x1b.txt": b"\xff",
        b"a.jsonl": f'{record}\n{{"id": 1, "text": "b"}}\n{nasty}'.encode(),
        b"a.csv": f"id,title,text,{row}\n{row},{row},{row},x\n1,2,3,4\n1,{NASTY}\n".encode(),
        b"caf\xe9.csv": b"text\na\n",
        b"\x1b.txt": NASTY.encode(),
        b"bad\x1b.csv": f"{row},x\n".encode(),
        b"twice.csv": f"text,{row},{row}\n".encode(),
        b"\x1b.npy": b"\x1b[31m",
        b"nul.csv": b"id,text\n\0,\0\n",
    }.items():
        path = folder / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        (b"tree", 1),
        (b"a.jsonl", 2),
        (b"a.csv", 2),
        (b"\x1b.txt", 1),
        (b"caf\xe9.csv", None),
        (b"bad\x1b.csv", None),
        (b"twice.csv", None),
        (b"\x1b.npy", None),
        (b"nul.csv", None),
        (b"gone\x1b[2J\xe9", None),
        (b"gone\x1b[2J\xe9.csv", None),
        (b"gone\x1b[2J\xe9.npy", None),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_from_source_to_screen(ninefold: Run, folders: Path, source: bytes, rows: int | None, strict: bool) -> None:
    files(folders)
    name = "./o\x1b[2J\u202e"
    done = ninefold("index", os.fsdecode(source), "-o", name, *(["--strict"] if strict else []))
    safe(done.stdout, done.stderr)
    assert done.exit_code == (2 if rows is None or (strict and source != b"\x1b.txt") else 0), done.stderr
    if done.exit_code:
        assert done.stderr.count("\n") == 1
        assert not Path(name).exists()
        return
    index = Index.open(name)
    assert len(index) == rows
    for words in (["search", name, NASTY], ["search", name, "a", "--explain"]):
        shown = ninefold(*words)
        assert shown.exit_code == 0
        safe(shown.stdout, shown.stderr)
    report = ninefold("search", name, NASTY, "--json").stdout
    safe(report)
    found: dict[str, Any] = json.loads(report)
    assert (found["query"], found["index"]) == (NASTY, str(Path(name)))
    by_row = {hit["row"]: (hit["id"], hit["title"], hit["text"]) for hit in found["hits"]}
    entries = [index.entry(row) for row in range(len(index))]
    assert by_row == {row: (entry.id, entry.title, entry.text) for row, entry in enumerate(entries)}
    assert any("\x1b[31m" in entry.text for entry in entries)
    if rows and rows > 1:
        for words in (["eval", name], ["eval", name, "--json"]):
            safe(ninefold(*words).stdout)


@pytest.mark.parametrize(
    "words",
    [
        ["search", "\x1b[2J", "q"],
        ["search", "./\x1b[2J\udce9", "q"],
        ["search", "v", "\x1b[2J\udce9"],
        ["search", "v", "0", "--device", "\x1b[2J"],
        ["search", "v", "0", "--threshold", "\x1b\u202e"],
        ["search", "v", "0", "-k", "\x1b"],
        ["search", "v", "0", "--timeline", "\x1b/x"],
        ["\x1b[2J"],
        ["index", "v.npy", "-o", "\udce9"],
        ["index", "v.npy", "-o", "./v.npy/\x1b"],
        ["index", "vectors.npy", "-o", "x", "--column", "\x1b"],
        ["index", "", "-o", "x"],
        ["eval", "v", "--device", "\x1b"],
        ["board", "query", "sim://\x1b", "v", "0"],
        ["board", "load", "tcp://\x1b[2J", "v"],
    ],
)
def test_values_in_messages(ninefold: Run, indexed: Path, words: list[str]) -> None:
    done = ninefold(*words)
    assert done.exit_code in (1, 2, 3)
    safe(done.stdout, done.stderr)
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.random.default_rng(1).normal(0, 1e-9, (50, 16)).astype(np.float32),
            "too small for the float16 of the stored vectors",
        ),
        (np.array([[1e-300, 2e-300]]), "too small for the float32 of the quantiser"),
        (np.ones((4, 3)), "does not vary: all numbers are equal"),
        (np.zeros((0, 3)), "it has no rows"),
        (np.zeros(3), "it is a single vector"),
    ],
)
def test_vectors(ninefold: Run, folders: Path, array: np.ndarray, message: str) -> None:
    np.save("a.npy", array)
    done = ninefold("index", "a.npy", "-o", "x")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "a.npy" in done.stderr
    assert message in done.stderr


def test_small_vectors_without_the_kept_ones(ninefold: Run, folders: Path) -> None:
    rows = np.random.default_rng(1).normal(0, 1, (50, 16)).astype(np.float32)
    large = np.sign(rows) * np.float32(2e38)
    for array, code in ((large, 2), (rows * np.float32(1e-42), 2), (rows * np.float32(1e-9), 0)):
        np.save("a.npy", array)
        done = ninefold("index", "a.npy", "-o", "x", "--no-vectors", "--force")
        assert done.exit_code == code
        assert code == 0 or "the numbers of a.npy are too " in done.stderr
    np.save("q.npy", rows[7] * np.float32(1e-9))
    assert json.loads(ninefold("search", "x", "q.npy", "--json").stdout)["hits"][0]["row"] == 7


def test_a_query_that_scores_0_everywhere_is_refused(ninefold: Run, folders: Path) -> None:
    rows = np.random.default_rng(1).normal(0, 1, (50, 16))
    rows[3] = 0
    np.save("a.npy", rows)
    assert ninefold("index", "a.npy", "-o", "x").exit_code == 0
    np.save("q.npy", rows[7] * 1e-6)
    for query, why in (("q.npy", "the query has only numbers (at most "), ("3", "row 3 of ")):
        done = ninefold("search", "x", query)
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: {why}")
