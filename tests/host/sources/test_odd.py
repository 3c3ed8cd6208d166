"""Odd sources of every kind: no traceback, no silent loss, no output that a terminal interprets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ninefold.host.sources import Entry, Skipped, files, read, vectors
from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

PIECES = [
    *(b"a", b"text", b"id", b"title", b" ", b",", b";", b"\t", b'"', b'""', b"\n", b"\r\n", b"\r", b"\n\n"),
    *(b"# h\n", b"```\n", b"~~~", b"> ", b"- ", b"---\n", b"    ", b"===\n", b"<!--", b"\\"),
    *(
        b"\0",
        b"\x1b[31m",
        b"\x0c",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        b"\xe9",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(b'{"text": "a"}\n', b'{"text": "b", "id": 1}\n', b'{"id": 1.5, "text": "a"}\n', b'{"text": "\\ud800"}\n'),
    *(b"id,text\n", b"text\n", b"1,a\n", b"[", b"]", b"{", b"}", b"\x93NUMPY\x01\0", "é目".encode()),
]
CONTENTS = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
NAMES = st.lists(st.sampled_from([b"a", b"\xe9", b"\x1b[2J", b"\n", b" ", b".", "é".encode()]), max_size=3).map(
    b"".join
)
SUFFIXES = st.sampled_from([b".md", b".txt", b".csv", b".tsv", b".jsonl", b".json", b".npy", b".log", b""])


def outcome(source: str, strict: bool = False) -> tuple[list[Entry], Skipped] | str:
    """Return the entries of a source, or the message with which it is refused."""
    skipped = Skipped(strict)
    try:
        if vectors.claims(source):
            vectors.load(source)
            return [], skipped
        return read(source, None, skipped), skipped
    except InputError as error:
        return str(error)


def check(source: str) -> None:
    found = outcome(source)
    if isinstance(found, str):
        assert found == printable(found)
        return
    entries, skipped = found
    for entry in entries:
        for value in (entry.id, entry.title, entry.text):
            assert "\0" not in value
            value.encode()
        assert entry.text.strip()
    assert len({entry.id for entry in entries}) == len(entries)
    assert sum(skipped.reasons.values()) == skipped.count
    assert len(skipped.named) == min(5, skipped.count)
    assert [line for line in skipped.lines() if line != printable(line)] == []
    strict = outcome(source, strict=True)
    if skipped.count:
        assert isinstance(strict, str)
    elif not skipped.notes:
        assert strict == (entries, Skipped(strict=True, **{k: v for k, v in vars(skipped).items() if k != "strict"}))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(NAMES, SUFFIXES, CONTENTS)
@example(b"caf\xe9", b".md", b"coffee")
@example(b"a", b".csv", b'id,text\n1,"an unclosed quote\n2,b\n')
@example(b"a", b".jsonl", b'{"id": "\\ud800", "text": "one"}\n')
@example(b"a", b".txt", b'[{"text": "a"}]')
def test_any_file(tmp_path_factory: pytest.TempPathFactory, name: bytes, suffix: bytes, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("odd")
    path = folder / os.fsdecode(b"x" + name + suffix)
    path.write_bytes(content)
    check(str(path))
    check(str(folder))
    shutil.rmtree(folder)


def test_everything_in_a_folder_is_accounted_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, content in {
        b"good.md": b"# T\ntext",
        b"caf\xe9.md": b"coffee",
        b"utf16.txt": "text".encode("utf-16"),
        b"nul.txt": b"a long line of text and a \0",
        b"image.txt": bytes(range(256)),
        b"array.txt": b'[{"text": "a"}]\n',
        b"headings.md": b"# Only\n## Headings\n",
        b"code.py": b"1",
        b"a.json": b"[]",
        b".hidden.md": b"h",
    }.items():
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(content)
    (tmp_path / "in" / ".git").mkdir()
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "in" / "dir.md").symlink_to(tmp_path)
    with (tmp_path / "in" / "vast.txt").open("wb") as file:
        file.truncate(1 << 40)
    found = outcome(str(tmp_path / "in"))
    assert not isinstance(found, str)
    entries, skipped = found
    assert [(entry.id, entry.title, entry.text) for entry in entries] == [
        ("good.md:2", "T", "text"),
        ("headings.md:2", "Only", "Headings"),
    ]
    assert (skipped.count, skipped.others, skipped.hidden) == (8, 2, 2)
    assert sorted([*skipped.named, *skipped.further]) == [
        f"array.txt: JSON, not prose; {files._JSON_LINES}",
        r"caf\xe9.md: its name is not UTF-8",
        "dir.md: linked folder, not followed",
        "image.txt: not UTF-8 (byte 128)",
        "loop: linked folder, not followed",
        "nul.txt: holds NUL (byte 26), so it is not text",
        "utf16.txt: UTF-16, not UTF-8",
        "vast.txt: larger than 256 MiB",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", r"^the source must not be empty; \. is the current folder$"),
        ("a.json", r"^a\.json is JSON, not prose; records must be JSON lines: .* ends in \.jsonl$"),
        ("A.JSON", r"is JSON, not prose"),
        ("gone\x1b", r"^gone\\x1b does not exist"),
        ("d", r"^no files to index: d holds none"),
    ],
)
def test_sources_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "A.JSON"):
        Path(name).write_text('[{"text": "a"}]')
    Path("d").mkdir()
    with pytest.raises(InputError, match=message):
        read(source)


def test_a_guess_is_said_and_refused_where_nothing_may_be_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("text")
    found = outcome(str(tmp_path / "a.log"))
    assert not isinstance(found, str)
    assert found[1].notes == [
        f"{tmp_path / 'a.log'} ends in .log, not in one of .markdown, .md, .rst, .text, .txt; read as plain text"
    ]
    with pytest.raises(InputError, match=r"without --strict it is read as plain text$"):
        read(str(tmp_path / "a.log"), None, Skipped(strict=True))
    (tmp_path / "README").write_text("text")
    assert read(str(tmp_path / "README"), None, Skipped(strict=True))


def test_a_folder_may_be_named_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").mkdir()
    (tmp_path / "notes.csv" / "a.md").write_text("text")
    assert read(str(tmp_path / "notes.csv")) == [Entry("a.md:1", "", "text")]
