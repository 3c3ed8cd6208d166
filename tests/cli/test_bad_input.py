"""Invalid input on the command line: one clear line, exit code 2, nothing half-written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ninefold.host import Index
from tests.cli.conftest import Run


def everything(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "costs" not in path.parts
    )


def refused(ninefold: Run, folder: Path, words: list[str], message: str) -> None:
    before = everything(folder)
    result = ninefold(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(rf"error: .*{message}.*\n", result.stderr), result.stderr
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        ({}, ["index", "gone", "-o", "x"], "gone does not exist; a source is stdlib, a folder, or a file"),
        ({}, ["index", "gone.jsonl", "-o", "x"], r"gone\.jsonl: No such file or directory"),
        ({}, ["index", "gone.npy", "-o", "x"], r"gone\.npy does not exist"),
        ({"d/a.py": b"x"}, ["index", "d", "-o", "x"], "no files to index: d holds none that ends in"),
        (
            {"d/a.txt": b"", "d/b.txt": b" \n"},
            ["index", "d", "-o", "x"],
            r"all 2 were skipped \(a\.txt: empty; b\.txt: e",
        ),
        (
            {"a.txt": b"caf\xe9"},
            ["index", "a.txt", "-o", "x"],
            r"the only one was skipped \(a\.txt: not UTF-8 \(byte 3\)\)",
        ),
        ({"a.txt": b"ok\n", "b.txt": b""}, ["index", ".", "-o", "x", "--strict"], r"b\.txt: empty"),
        (
            {"a.csv": b"one,two\n1,2\n"},
            ["index", "a.csv", "-o", "x"],
            "a.csv: --column must be one of one, two",
        ),
        ({"a.csv": b"text\n"}, ["index", "a.csv", "-o", "x"], r"nothing to index in a\.csv: it holds no entries"),
        ({"a.jsonl": b"{}\n"}, ["index", "a.jsonl", "-o", "x"], r"the only one was skipped \(a\.jsonl:1: no text in"),
        ({"a.txt": b"ok"}, ["index", "a.txt", "-o", "x", "--column", "c"], "only JSON lines and CSV have columns"),
        ({"a.npy": b"junk"}, ["index", "a.npy", "-o", "x"], r"a\.npy is not a \.npy file of numbers"),
        ({"x/cat.jpg": b"cat", "a.txt": b"ok"}, ["index", "a.txt", "-o", "./x"], "exists and is not an index"),
        ({"a.txt": b"ok"}, ["index", "a.txt", "-o", ".."], "the name of an index must be printable"),
        ({}, ["search", "gone", "q"], "there is no index gone; `ninefold index SOURCE -o NAME` builds one"),
        ({}, ["eval", "gone"], "there is no index gone;"),
        ({"x/cat.jpg": b"cat"}, ["search", "./x", "q"], r"x is not an index: it has no manifest\.json"),
        ({"x/manifest.json": b"{}"}, ["search", "./x", "q"], "is not the manifest of a Ninefold index"),
    ],
)
def test_sources_and_names(
    ninefold: Run, folders: Path, files: dict[str, bytes], words: list[str], message: str
) -> None:
    for name, content in files.items():
        (folders / name).parent.mkdir(exist_ok=True)
        (folders / name).write_bytes(content)
    refused(ninefold, folders, words, message)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_must_be_finite(ninefold: Run, folders: Path, value: float) -> None:
    np.save("a.npy", np.array([[1.0, 2.0], [3.0, value]]))
    refused(
        ninefold, folders, ["index", "a.npy", "-o", "x"], rf"a\.npy must hold finite numbers, but row 1 holds {value}"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["0", "-k", "0"], "k must be an integer from 1 to 256, not 0"),
        (["0", "-k", "257"], "k must be an integer from 1 to 256, not 257"),
        (["0", "-k", "-1"], "k must be an integer from 1 to 256, not -1"),
        (["0", "-k", "100", "--rerank", "3"], r"rerank \* k must be 1 to 256, not 300"),
        (["0", "--rerank", "0"], "rerank must be an integer from 1 to 256, not 0"),
        (["0", "--threshold", "high"], "threshold must be one of adaptive, not 'high'"),
        (["0", "--device", "gpu"], "device must be auto or one of .*cpu, .*, not 'gpu'"),
        (["0", "--device", "cpu:7"], "cpu's instance must be one of .*, not '7'"),
        (["200"], "row must be 0 to 199, not 200"),
        (["a question"], r"holds vectors: search it with a \.npy file or the number of a row"),
        ([""], "holds vectors"),
        (["gone.npy"], r"gone\.npy does not exist"),
        (["short.npy"], "the query has 3 dimensions, the index 16"),
        (["nan.npy"], "the query must hold finite numbers"),
        (["two.npy"], "the query is all zeros, which have no nearest entries"),
    ],
)
def test_queries(ninefold: Run, indexed: Path, folders: Path, words: list[str], message: str) -> None:
    np.save("short.npy", np.zeros(3))
    np.save("nan.npy", np.full(16, np.nan))
    np.save("two.npy", np.zeros((2, 16)))
    refused(ninefold, folders, ["search", "v", *words], message)


def test_an_empty_question(ninefold: Run, notes: Path, folders: Path) -> None:
    ninefold("index", notes, "-o", "notes")
    refused(ninefold, folders, ["search", "notes", "  "], "the query is empty")


def test_an_index_without_vectors(ninefold: Run, vectors: Path, folders: Path) -> None:
    ninefold("index", vectors, "-o", "small", "--no-vectors")
    refused(ninefold, folders, ["eval", "small"], "has no float vectors")
    np.save("q.npy", np.ones(16))
    refused(ninefold, folders, ["search", "small", "q.npy", "--rerank", "2"], "has no float vectors")


@pytest.mark.parametrize("command", [["search", "v", "0"], ["eval", "v"], ["index", "info", "v"]])
@pytest.mark.parametrize("pattern", ["segments/*", "manifest.json", "data.mdb"])
def test_damaged_and_truncated_indexes(
    ninefold: Run, indexed: Path, folders: Path, command: list[str], pattern: str
) -> None:
    (path,) = indexed.glob(pattern)
    good = path.read_bytes()
    for bad in (good[:-9], good[:-9] + bytes([good[-9] ^ 8]) + good[-8:]) if pattern != "data.mdb" else (good[:99],):
        path.write_bytes(bad)
        refused(ninefold, folders, command, rf"{path.name} is (truncated|damaged)")
    path.unlink()
    refused(ninefold, folders, command, path.name)


def test_a_damaged_index_can_be_made_again(ninefold: Run, indexed: Path, vectors: Path) -> None:
    for pattern, content in (("segments/*", b""), ("data.mdb", b""), ("data.mdb", b"other"), ("manifest.json", b"{}")):
        (path,) = indexed.glob(pattern)
        path.write_bytes(content)
        assert ninefold("index", vectors, "-o", "v", "--force").exit_code == 0
        assert len(Index.open("v")) == 200
        assert ninefold("index", "verify", "v").exit_code == 0


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk(ninefold: Run, process: Callable, folders: Path, vectors: Path, there: bool) -> None:
    if there:
        ninefold("index", vectors, "-o", "v", "--mode", "tanh")
    np.save("large.npy", np.random.default_rng(4).normal(0, 1, (4000, 64)).astype(np.float32))
    before = everything(folders)
    # Stands for a full disk: beyond this file size, `write` fails in the same way.
    running = process("index", "large.npy", "-o", "v", "--force", limit_bytes=100_000)
    out, error = running.communicate(timeout=120)
    assert (running.returncode, out) == (2, "")
    assert re.fullmatch(r"error: .*/indexes/v: File too large\n", error)
    assert everything(folders) == before
    if there:
        assert Index.open("v").generation.mode == "tanh"


def test_a_folder_that_cannot_be_made(ninefold: Run, folders: Path, vectors: Path) -> None:
    (folders / "file").write_text("x")
    refused(
        ninefold, folders, ["index", str(vectors), "-o", "file/x"], "cannot create .*file/x: .*/file is not a folder"
    )
