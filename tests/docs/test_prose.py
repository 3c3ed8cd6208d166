"""The word list: what it finds, and that the project's texts are free of it."""

from __future__ import annotations

import pytest

from tests.docs.prose import Finding, findings, in_page, in_source, words


def brief(found: list[Finding]) -> list[str]:
    """Return line and word of each finding."""
    return [f"{finding.place.partition(':')[2]} {' '.join(finding.word.split())}" for finding in found]


def test_the_texts_of_the_project_avoid_the_words_of_the_list() -> None:
    assert [str(finding) for finding in findings()] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Build it anew.", ["1 anew"]),
        ("One.\n\nThe proof holds for\never.\n", ["3 for ever"]),
        ("The device goes on elsewhere.", ["1 goes on"]),
        ("It goes on with the rest.", []),
        ("The name `anew` and ``for ever`` are code.", []),
        ("```console\n$ ninefold anew\n```\n", []),
        ("A renewal, and Forever.", []),
    ],
)
def test_pages(text: str, found: list[str]) -> None:
    assert brief(in_page("page.md", text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""What a board holds."""\n', ["1 What"]),
        ('"""Content of a board."""\n\n\ndef f():\n    """Whether it is full."""\n', ["5 Whether"]),
        ('"""A. B."""\n\n\nclass C:\n    """Whatever."""\n', []),
        ("x = 1  # made anew\n", ["1 anew"]),
        ('raise ValueError(f"{path} is not there, but {anew} is")\n', ["1 is not there"]),
        ('x = {"anew": 1}\n', []),
        ('"""A.\n\nB is\nbuilt anew.\n"""\n', ["4 anew"]),
    ],
)
def test_sources(text: str, found: list[str]) -> None:
    assert brief(in_source("host/a.py", text)) == found


def test_literals_of_tests_may_quote() -> None:
    text = 'assert error == "x is not there"  # and anew\n'
    assert brief(in_source("tests/test_a.py", text)) == ["1 anew"]


def test_every_pattern_of_the_list_is_used() -> None:
    # A pattern without a word at either end would never match between word boundaries.
    for pattern, advice in words().avoided:
        assert advice
        assert pattern.pattern.startswith(r"\b(?:")
    assert {"How", "What", "Where", "Which", "Whether"} <= words().first
