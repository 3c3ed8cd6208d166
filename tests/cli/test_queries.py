"""Many queries of one command, and the formats of hits."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ninefold.host.cli import cli
from tests.cli.conftest import Run

QUESTIONS = ["how to bake", 'leaves, "and" rain', "insects"]


@pytest.fixture
def indexed(ninefold: Run, notes: Path) -> Run:
    assert ninefold("index", notes, "-o", "notes").exit_code == 0
    return ninefold


@pytest.fixture
def vectors(ninefold: Run) -> Run:
    rows = np.random.default_rng(4).standard_normal((50, 16)).astype(np.float32)
    np.save("v.npy", rows)
    np.save("some.npy", rows[[3, 8]])
    np.save("one.npy", rows[3])
    assert ninefold("index", "v.npy", "-o", "v").exit_code == 0
    return ninefold


def test_each_line_is_a_query_and_is_answered_as_alone(indexed: Run) -> None:
    Path("questions.txt").write_text("\ufeff" + "\n\n".join(QUESTIONS) + "\r\n", encoding="utf-8")
    many = ("search", "notes", "--queries", "questions.txt", "-k", "2")
    reports = json.loads(indexed(*many, "--json").stdout)
    assert [report["query"] for report in reports] == QUESTIONS
    alone = [json.loads(indexed("search", "notes", text, "--json", "-k", "2").stdout) for text in QUESTIONS]
    assert [report["hits"] for report in reports] == [report["hits"] for report in alone]
    lines = indexed(*many, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["hits"] for line in lines] == [report["hits"] for report in reports]
    table = list(csv.reader(io.StringIO(indexed(*many, "--format", "csv").stdout)))
    assert table[0] == ["query", "rank", "row", "score", "id", "title"]
    assert [line[:2] for line in table[1:]] == [[text, rank] for text in QUESTIONS for rank in ("1", "2")]
    assert table[1][2:5] == [str(alone[0]["hits"][0][name]) for name in ("row", "score", "id")]
    shown = indexed(*many).stdout
    assert shown.count("query how to bake -----") == 1
    assert shown.count("answered by cpu") == 1


def test_queries_come_from_standard_input(vectors: Run) -> None:
    def given(data: bytes) -> Result:
        return CliRunner().invoke(cli, ["search", "v", "--queries", "-", "-k", "1", "--json"], input=data)

    assert vectors
    assert [report["hits"][0]["row"] for report in json.loads(given(b"3\n 8 \n").stdout)] == [3, 8]
    # A file of one query gives a list too.
    assert len(json.loads(given(b"3").stdout)) == 1
    refused = given(b"3\n\xff")
    assert refused.exit_code == 2
    assert refused.stderr == "error: standard input is not UTF-8 (byte 2)\n"


def test_rows_of_a_file_are_queries(vectors: Run) -> None:
    for words in (["some.npy"], ["--queries", "some.npy"]):
        reports = json.loads(vectors("search", "v", *words, "-k", "1", "--json").stdout)
        assert [(report["query"], report["hits"][0]["row"]) for report in reports] == [("0", 3), ("1", 8)]
    assert json.loads(vectors("search", "v", "one.npy", "-k", "1", "--json").stdout)["hits"][0]["row"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either QUERY or --queries"),
        (["3", "--queries", "some.npy"], "give either QUERY or --queries"),
        (["--queries", "empty.txt"], "empty.txt holds no queries, one a line"),
        (["--queries", "narrow.npy"], "the queries have 8 dimensions, the index 16"),
        (["--queries", "none.npy"], "the queries in none.npy must have shape (N, D), with N from 1, not (0, 16)"),
        (["--queries", "missing.txt"], "missing.txt: No such file or directory"),
        (["3", "--format", "xml"], "'xml' is not one of 'table', 'json', 'jsonl', 'csv'"),
    ],
)
def test_refusals(words: list[str], said: str, vectors: Run) -> None:
    Path("empty.txt").write_text(" \n\n")
    np.save("narrow.npy", np.ones((2, 8), np.float32))
    np.save("none.npy", np.ones((0, 16), np.float32))
    result = vectors("search", "v", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_an_index_of_texts_takes_no_vectors(indexed: Run) -> None:
    np.save("some.npy", np.ones((2, 384), np.float32))
    result = indexed("search", "notes", "--queries", "some.npy")
    assert result.exit_code == 2
    assert "holds texts: its queries are lines of text, not vectors in some.npy" in result.stderr
