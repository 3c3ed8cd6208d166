"""Every kind of source: entries yielded, and input skipped or refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.sources import Entry, Skipped, kind_of, read, vectors
from ninefold.spec.errors import InputError


def entries(source: Path | str, column: str | None = None) -> tuple[list[Entry], Skipped]:
    skipped = Skipped()
    return list(read(str(source), column, skipped)), skipped


@pytest.fixture(scope="module")
def stdlib() -> dict[str, Entry]:
    found, skipped = entries("stdlib")
    assert skipped.count == 0
    by_id = {entry.id: entry for entry in found}
    assert len(by_id) == len(found)
    return by_id


def test_stdlib_has_thousands_of_entries(stdlib: dict[str, Entry]) -> None:
    assert 5000 <= len(stdlib) <= 7500


def test_stdlib_holds_every_kind_of_object(stdlib: dict[str, Entry]) -> None:
    kinds = ["json", "len", "str.join", "shutil.copy2", "pathlib.Path.read_text", "datetime.date.isoformat"]
    kinds += ["pathlib.PurePath.parent", "os.path.join", "math.sqrt", "collections.Counter", "dict.fromkeys"]
    assert [name for name in kinds if name not in stdlib] == []
    copy = stdlib["shutil.copy2"]
    assert copy.title == "shutil.copy2(src, dst, *, follow_symlinks=True)"
    assert copy.text == "Copy data and metadata. Return the file's destination."
    assert copy.sentence == f"{copy.title}\n{copy.text}"


def test_stdlib_counts_each_object_once(stdlib: dict[str, Entry]) -> None:
    names = ["open", "io.open"]  # one function
    assert [name in stdlib for name in names] == [True, False]
    assert "json.JSONDecodeError" in stdlib
    assert "json.decoder.JSONDecodeError" not in stdlib
    pairs = [(entry.id.rpartition(".")[2], entry.text) for entry in stdlib.values()]
    assert len(pairs) == len(set(pairs))


def test_stdlib_leaves_out_what_is_private_or_acts_on_import(stdlib: dict[str, Entry]) -> None:
    parts = {part for name in stdlib for part in name.split(".")}
    assert not [part for part in parts if part.startswith("_")]
    assert not parts & {"antigravity", "this", "idlelib", "lib2to3", "ntpath", "distutils"}
    assert not [name for name in stdlib if name.split(".")[0] == "test"]


def test_stdlib_is_the_same_every_time(
    stdlib: dict[str, Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module of that name in the working folder must not replace the standard library's.
    (tmp_path / "json.py").write_text('"""Not the real one."""\nraise RuntimeError\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    assert entries("stdlib")[0] == list(stdlib.values())


def test_stdlib_tells_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some defaults are os.environ or a path.
    monkeypatch.setenv("MARKER", "sesame")
    text = "\n".join(entry.sentence for entry in entries("stdlib")[0])
    assert "sesame" not in text
    assert sys.prefix not in text


def test_text_is_split_in_paragraphs(tmp_path: Path) -> None:
    long = "word " * 130
    (tmp_path / "a.txt").write_text(f"One.\n\nTwo\nlines.\n\n\n{long}\n\n{long}\n")
    found, _ = entries(tmp_path / "a.txt")
    assert [entry.id for entry in found] == ["a.txt:1", "a.txt:9"]
    assert found[0].text == f"One.\n\nTwo\nlines.\n\n{long.strip()}"
    assert found[0].title == ""
    assert found[1].sentence == long.strip()


def test_a_long_paragraph_is_split_where_it_ends_something(tmp_path: Path) -> None:
    sentence = "Ink hides it from sharks. "
    paragraphs = ["First.", sentence * 40, "word " * 170, "x" * 1700, "Last."]
    (tmp_path / "a.txt").write_text("\n\n".join(paragraphs))
    found, _ = entries(tmp_path / "a.txt")
    assert [(entry.id, entry.text) for entry in found] == [
        ("a.txt:1", "First.\n\n" + (sentence * 30).strip()),
        ("a.txt:3", (sentence * 10).strip()),
        ("a.txt:5", ("word " * 160).strip()),
        ("a.txt:5.2", ("word " * 10).strip()),
        ("a.txt:7", "x" * 800),
        ("a.txt:7.2", "x" * 800),
        ("a.txt:7.3", "x" * 100 + "\n\nLast."),
    ]


def test_nothing_of_a_long_paragraph_is_lost(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(3000)]
    (tmp_path / "a.txt").write_text(" ".join(words))
    found, _ = entries(tmp_path / "a.txt")
    assert [word for entry in found for word in entry.text.split()] == words
    assert max(len(entry.text) for entry in found) <= 800
    assert len({entry.id for entry in found}) == len(found)


def test_markdown_is_split_at_headings(tmp_path: Path) -> None:
    text = "Before.\n\n# Guide\nIntro.\n\n## Install\n```sh\n# not a heading\n\nmake\n```\n"
    text += "## Use ##\nRun it.\n# Else\nMore.\n"
    (tmp_path / "a.md").write_text("\ufeff" + text, encoding="utf-8")
    found, _ = entries(tmp_path)
    assert [(entry.id, entry.title, entry.text) for entry in found] == [
        ("a.md:1", "", "Before."),
        ("a.md:4", "Guide", "Intro."),
        ("a.md:7", "Guide > Install", "```sh\n# not a heading\n\nmake\n```"),
        ("a.md:13", "Guide > Use", "Run it."),
        ("a.md:15", "Else", "More."),
    ]


def test_a_hash_in_text_is_no_heading(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# one\ntwo\n")
    assert entries(tmp_path)[0] == [Entry("a.txt:1", "", "# one\ntwo")]


def test_a_tree_is_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/z.md", "b/a.txt", "a.rst", ".git/x.txt", ".hidden.txt", "b/code.py", "C.MARKDOWN"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    assert [entry.id for entry in entries(tmp_path)[0]] == ["C.MARKDOWN:1", "a.rst:1", "b/a.txt:1", "b/z.md:1"]


def test_files_that_cannot_be_used_are_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_text(" \n\n")
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "d.txt")
    (tmp_path / "e.txt").write_text("good")
    (tmp_path / "f.pdf").write_text("of another kind")
    (tmp_path / ".hidden.pdf").write_text("hidden")
    found, skipped = entries(tmp_path)
    assert [entry.id for entry in found] == ["e.txt:1"]
    assert (skipped.count, skipped.others) == (4, 1)
    assert skipped.named == [
        "a.txt: not UTF-8 (byte 3)",
        "b.txt: empty",
        "c.txt: No such file or directory",
        "d.txt: not a regular file",
    ]
    with pytest.raises(InputError, match=r"^a\.txt: not UTF-8 \(byte 3\)$"):
        list(read(str(tmp_path), None, Skipped(strict=True)))


def test_only_the_first_few_are_named(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text("")
    _, skipped = entries(tmp_path)
    assert (skipped.count, len(skipped.named)) == (12, 5)


def test_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    with pytest.raises(InputError, match=r"^no files to index: .* holds none that ends in \.markdown, \.md, \.rst"):
        entries(tmp_path)
    with pytest.raises(InputError, match=r"gone does not exist; a source is stdlib, "):
        entries(tmp_path / "gone")


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = [{"body": " One. ", "title": "T", "id": 7}, {"body": "Two."}]
    lines = [json.dumps(line).encode() for line in good]
    lines += [b"", b"{", b'{"body": 3, "other": "x"}', b'"text"', b'{"body": "caf\xe9"}', b'{"body": "\\ud800"}']
    lines += [b'{"body": "  "}']
    path.write_bytes(b"\n".join(lines))
    found, skipped = entries(path, "body")
    assert found == [Entry("7", "T", "One."), Entry(f"{path}:2", "", "Two.")]
    assert skipped.count == 6
    assert skipped.named[0].startswith(f"{path}:4: not JSON (")
    assert skipped.named[1:] == [
        f"{path}:5: no text in field 'body', only in other",
        f"{path}:6: a JSON string, not an object",
        f"{path}:7: not UTF-8",
        f"{path}:8: not UTF-8",
    ]
    assert entries(path)[1].named[0] == f"{path}:1: no text in field 'text', only in body, title"


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,title,note\n7,T,"a, b\nc"\n,,d\n1,2\n8,U,caf\xe9\n9,V,\n\n')
    found, skipped = entries(path, "note")
    assert found == [Entry("7", "T", "a, b\nc"), Entry(f"{path}:4", "", "d")]
    assert skipped.named == [f"{path}:5: 2 cells, but the header has 3", f"{path}:6: not UTF-8", f"{path}:7: empty"]
    assert entries(path, "title")[0][0] == Entry("7", "", "T", {"note": "a, b\nc"})
    with pytest.raises(InputError, match=r": --column must be one of id, title, note, not 'text'$"):
        entries(path)
    (tmp_path / "a.tsv").write_text("text\tx\nhello\t1\n")
    assert entries(tmp_path / "a.tsv")[0][0].text == "hello"
    path.write_text("")
    with pytest.raises(InputError, match=r"has no header line"):
        entries(path)


def test_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--column must name a column or field, not ''$"):
        entries("a.csv", "")
    with pytest.raises(InputError, match=r"^only JSON lines and CSV have columns; "):
        entries(tmp_path, "text")


@pytest.mark.parametrize(
    ("source", "kind"),
    [("stdlib", "the standard library"), ("./stdlib", "text"), ("a.JSONL", "JSON lines"), ("a.tsv", "CSV")],
)
def test_kinds(source: str, kind: str) -> None:
    assert kind_of(source).name == kind


def test_vectors(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert vectors.claims(str(path))
    for dtype in (np.float16, np.float32, np.float64):
        np.save(path, np.arange(6, dtype=dtype).reshape(2, 3))
        rows = vectors.check_rows(vectors.load(str(path)), "a.npy")
        assert rows.dtype == np.float32
        assert rows.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.int64), "must hold float16, float32 or float64, not int64"),
        (np.zeros((2, 3), np.complex64), "not complex64"),
        (np.zeros((2, 3, 1)), r"must have shape \(N, D\) with D from 1 to 4096, not \(2, 3, 1\)"),
        (np.zeros((2, 0)), r"not \(2, 0\)"),
        (np.zeros((1, 5000)), r"not \(1, 5000\)"),
        (np.array([{}, {}], object), r"not a .npy file of numbers: it holds Python objects \(a pickle\), not numbers$"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        vectors.load(str(path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for content, why in (
        (b"", "it is empty"),
        (b"hello", r"it begins with b'hello', not with b'\\x93NUMPY'"),
        (b"\x93NUMPY\x01\x00\x76\x00{'descr'", "it is truncated: it ends within its header, after 18 bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"is not a \.npy file of numbers: {why}$"):
            vectors.load(str(path))
    with pytest.raises(InputError, match=r"does not exist"):
        vectors.load(str(tmp_path / "b.npy"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(value: float) -> None:
    rows = np.zeros((4, 3))
    rows[2, 1] = value
    with pytest.raises(InputError, match=r"^x must hold finite numbers, but row 12 holds (nan|-?inf) in column 1$"):
        vectors.check_rows(rows, "x", 10)
