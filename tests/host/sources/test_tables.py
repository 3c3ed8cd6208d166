"""JSON lines and CSV with wrong quotes, names, delimiters, ids and bytes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.sources import DeclaredField, Entry, Skipped, read
from ninefold.host.sources.delimited import records
from ninefold.spec.errors import InputError

QUICK = settings(max_examples=200, deadline=None, derandomize=True)
NEVER = "is never closed; the lines after it are read as records"


def entries(folder: Path, name: str, content: str | bytes, strict: bool = False) -> tuple[list[Entry], Skipped]:
    path, skipped = folder / name, Skipped(strict)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(str(path), None, skipped), skipped


@pytest.mark.parametrize(
    ("rows", "ids", "line", "why"),
    [
        ('1,"open\n2,b\n3,c\n', ["2", "3"], 2, f"the quote opened in line 2 {NEVER}"),
        ('1,"a\nb"\n2,"open', ["1"], 4, f"the quote opened in line 4 {NEVER}"),
        ('"1\n",x,"open\n2,b\n', ["2"], 2, f"the quote opened in line 3 {NEVER}"),
        ('1,"open\n2,"closed"\n3,c\n', ["2", "3"], 2, "the quote opened in line 2 is closed in line 3 in the middle"),
        ('1,"say "no""\n2,b\n', ["2"], 2, "the quote opened in line 2 is closed in line 2 in the middle"),
        ('1,a "b" c\n2,5"\n', ["1", "2"], 0, ""),
        ('1,"a ""b"", c\nd"\r\n2,b', ["1", "2"], 0, ""),
    ],
)
def test_quotes(tmp_path: Path, rows: str, ids: list[str], line: int, why: str) -> None:
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        text = f"id,text\n{rows}".replace(",", delimiter)
        found, skipped = entries(tmp_path, name, text)
        assert [entry.id for entry in found] == ids
        assert skipped.count == (1 if why else 0)
        if why:
            assert skipped.named[0].startswith(f"{tmp_path / name}:{line}: {why}")
            with pytest.raises(InputError, match=rf":{line}: the quote opened in line"):
                entries(tmp_path, name, text, strict=True)


@QUICK
@given(st.lists(st.lists(st.text(st.sampled_from('a,"\n\r \t')), min_size=1, max_size=3), max_size=5))
def test_what_the_csv_module_writes_is_read_as_it_was(rows: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    file.seek(0)
    found = list(records(iter(file), ","))
    assert [record.cells for record in found] == rows
    assert not [record for record in found if record.why]


@QUICK
@given(st.text(st.sampled_from('a,"\n\r'), max_size=40))
def test_any_text_is_read_to_its_end(text: str) -> None:
    lines = list(io.StringIO(text, newline=""))
    found = list(records(iter(lines), ","))
    numbers = [record.line for record in found]
    assert numbers == sorted(set(numbers))
    assert numbers[0:1] == ([1] if lines else [])
    # The message names the quote of each unreadable record, and reading resumes after it.
    assert not [record for record in found if record.why and "the quote opened in line" not in record.why]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,text\na,b\n", "has two columns named 'text'; rename one"),
        ("a.csv", "text,x,x\na,b,c\n", "has two columns named 'x'"),
        ("a.csv", 'id,"text\n1,a\n', "the quote opened in line 1 is never closed"),
        (
            "a.csv",
            "id;text\n1;a\n",
            "not 'text'; its columns seem to be separated by semicolons, but must be by commas in",
        ),
        ("a.tsv", "id,text\n1,a\n", "separated by commas, but must be by tabs in .tsv"),
        ("a.csv", "id|text\n", "separated by bars"),
        ("a.csv", "id\ttext\n1\ta\n", "separated by tabs"),
        ("a.csv", "note\na\n", "--column must be one of note, not 'text'$"),
        ("a.csv", "id,text\n1,a\n".encode("utf-16"), "is UTF-16, not UTF-8; convert it first"),
        ("a.csv", "id,text\n1,a\n".encode("utf-16-le"), "is UTF-16 or binary, not UTF-8"),
        ("a.jsonl", '{"text": "a"}\n'.encode("utf-32"), "is UTF-32, not UTF-8"),
        ("a.csv", "\x1b[2Jid\0;x\n", r"must be one of \\x1b\[2Jid\\x00;x, not 'text'"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        entries(tmp_path, name, content)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"id": 1.5, "text": "a"}', "its id must be a string or an integer, not 1.5"),
        ('{"id": true, "text": "a"}', "its id must be a string or an integer, not true"),
        ('{"id": ["\\u001b"], "text": "a"}', r'its id must be a string or an integer, not ["\u001b"]'),
        ('{"title": {}, "text": "a"}', "its title must be a string or an integer, not {}"),
        ('{"id": "\\ud800", "text": "a"}', "its id is not UTF-8"),
        ('{"title": "\\udfff", "text": "a"}', "its title is not UTF-8"),
        ('{"id": "\\u0000", "text": "a"}', "its id holds a NUL character"),
        ('{"text": "a\\u0000b"}', "holds a NUL character"),
        ('{"text": "a", "text": "b"}', "two fields are named 'text'"),
        ('["a"]', "a JSON array, not an object"),
        ("3", "a JSON number, not an object"),
        ('{"text": 3}', "no text in field 'text'"),
        ('{"text": null, "body": "b"}', "no text in field 'text', only in body"),
        (f'{{"text": "{"x" * 1_048_577}"}}', "its text is longer than 1,048,576 characters"),
    ],
)
def test_records_that_are_skipped(tmp_path: Path, line: str, why: str) -> None:
    found, skipped = entries(tmp_path, "a.jsonl", f'{{"text": "good", "id": 0}}\r{line}\n')
    assert found == [Entry("0", "", "good")]
    assert skipped.named == [f"{tmp_path / 'a.jsonl'}:2: {why}"]
    with pytest.raises(InputError):
        entries(tmp_path, "a.jsonl", line, strict=True)


def test_bytes_that_are_not_utf8_cost_their_row(tmp_path: Path) -> None:
    found, skipped = entries(tmp_path, "a.csv", b"id,text,x\ncaf\xe9,a,1\n2,caf\xe9,1\n3,tea,\xe9\n4,d,1\n\0,b,1\n")
    assert [entry.id for entry in found] == ["4"]
    assert [said.rpartition(": ")[2] for said in skipped.named] == [
        "its id is not UTF-8",
        "not UTF-8",
        "one of its fields is not UTF-8",
        "its id holds a NUL character",
    ]


def test_of_repeated_ids_the_last_counts(tmp_path: Path) -> None:
    text = '{"id": 7, "text": "a"}\n{"id": "x", "text": "b"}\n{"id": "7", "text": "c"}\n'
    found, skipped = entries(tmp_path, "a.jsonl", text)
    assert [(entry.id, entry.text) for entry in found] == [("x", "b"), ("7", "c")]
    path = tmp_path / "a.jsonl"
    assert skipped.named == [f"{path}:1: its id '7' is given again at {path}:3"]
    with pytest.raises(InputError, match=r":1: its id '7' is given again at .*:3$"):
        entries(tmp_path, "a.jsonl", text, strict=True)


def test_an_id_that_is_blank_is_none(tmp_path: Path) -> None:
    found, _ = entries(tmp_path, "a.csv", 'id,text\n,a\n" ",b\n0,c\n')
    assert [entry.id for entry in found] == [f"{tmp_path / 'a.csv'}:2", f"{tmp_path / 'a.csv'}:3", "0"]


def test_all_other_columns_are_kept_as_strings(tmp_path: Path) -> None:
    found, skipped = entries(
        tmp_path, "a.csv", ",id,title,text,lang,\x1byear\n0,1,t,a,de,2020\n1,2,,b,,\n", strict=True
    )
    assert [entry.fields for entry in found] == [{"lang": "de", "\x1byear": "2020"}, {"lang": "", "\x1byear": ""}]
    assert list(skipped.lines()) == []


def test_all_other_fields_are_kept_with_their_types(tmp_path: Path) -> None:
    record = '{"id": 1, "text": "a", "n": 3, "f": 1.5, "b": true, "tags": ["x", 2], "o": {"p": null}, "nothing": null'
    found, _ = entries(tmp_path, "a.jsonl", record + ', "nan": NaN, "inf": -Infinity, "large": 1e999}\n')
    kept = {"n": 3, "f": 1.5, "b": True, "tags": ["x", 2], "o": {"p": None}, "nothing": None}
    assert found == [Entry("1", "", "a", kept | {"nan": None, "inf": None, "large": None})]
    assert json.loads(json.dumps(found[0].fields, allow_nan=False)) == found[0].fields


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ('"x": "\\ud800"', "one of its fields is not UTF-8"),
        ('"\\ud800": 1', "one of its fields is not UTF-8"),
        (f'"x": "{"y" * (1 << 20)}"', "its fields are longer than 1,048,576 bytes of JSON"),
    ],
)
def test_fields_that_cannot_be_kept_cost_their_record(tmp_path: Path, fields: str, why: str) -> None:
    found, skipped = entries(tmp_path, "a.jsonl", f'{{"text": "a", {fields}}}\n{{"text": "b", "x": 1}}\n')
    assert [entry.text for entry in found] == ["b"]
    assert skipped.named == [f"{tmp_path / 'a.jsonl'}:1: {why}"]


def test_a_declared_field_has_its_type_or_the_record_is_skipped(tmp_path: Path) -> None:
    path, skipped = tmp_path / "a.csv", Skipped(declared=(DeclaredField("year", "int"), DeclaredField("new", "bool")))
    path.write_text("id,text,year,new\n1,a,2020,True\n2,b,,\n3,c,MMXX,no\n3,d,2021,false\n4,e,1999,no\n")
    found = {entry.id: entry.fields for entry in read(str(path), None, skipped)}
    assert found == {"1": {"year": 2020, "new": True}, "2": {}, "3": {"year": 2021, "new": False}}
    assert skipped.named == [
        f"{path}:4: its field 'year' must be an integer of 64 bits, not 'MMXX'",
        f"{path}:6: its field 'new' must be true or false, not 'no'",
    ]
    assert list(skipped.reasons) == [
        "its field 'year' must be an integer of 64 bits",
        "its field 'new' must be true or false",
    ]
    skipped = Skipped(strict=True, declared=(DeclaredField("year", "int"),))
    with pytest.raises(InputError, match=r":4: its field 'year' must be an integer of 64 bits, not 'MMXX'$"):
        read(str(path), None, skipped)


def test_every_reason_is_named_and_counted(tmp_path: Path) -> None:
    lines = ['{"text": ""}'] * 9 + ["["] + ['{"text": ""}', "3"]
    _, skipped = entries(tmp_path, "a.jsonl", '{"text": "a"}\n' + "\n".join(lines))
    said = list(skipped.lines())
    assert [line.rpartition(":")[2] for line in said[:5]] == [" empty"] * 5
    assert "not JSON" in said[5]
    assert "a JSON number" in said[6]
    assert said[7] == "and 5 more; in all: empty (10), not JSON (1), a JSON number, not an object (1)"


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a\.csv is not a regular file$"):
        read(str(tmp_path / "a.csv"))
