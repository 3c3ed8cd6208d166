"""Splitting of prose: headings and code as in CommonMark, and lines counted as in editors."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.sources.paragraphs import pieces, split_lines

QUICK = settings(max_examples=200, deadline=None, derandomize=True)


def titles(text: str) -> list[tuple[int, str]]:
    return [(line, title) for line, title, _ in pieces(text, markdown=True)]


@pytest.mark.parametrize(
    ("code", "inside"),
    [
        ("```x```", False),  # an info string holds no backtick
        ("``` a`b", False),
        ("``", False),
        ("```\n# no\n```", True),
        ("~~~ a`b\n# no\n~~~", True),
        ("````\n```\n# no\n```\n````", True),
        ("```\n~~~\n# no\n~~~\n```", True),
        ("```\n# no\n``` x\n# no\n```", True),  # a closing fence has no info string
        ("```\n# no\n    ```\n# no\n```", True),  # nor four spaces before it
        ("   ```\n# no\n  `````  ", True),
        ("    ```", False),  # indented code
        ("    # no", True),
        ("- item\n  ```\n  # no\n  ```", True),
        ("> ```\n> # no", True),
        ("<!--\n# no\n\n# no\n-->", True),
        ("- # no", True),
    ],
)
def test_fences_and_headings_in_code(code: str, inside: bool) -> None:
    found = titles(f"# One\n\n{code}\n\n# Two\n\nEnd.\n")
    assert found[0] == (3, "One")
    assert found[-1] == (code.count("\n") + 7, "Two")
    assert inside == ("# no" in code)
    assert "no" not in {title for _, title in found}


def test_a_fence_that_is_not_closed_ends_with_the_document() -> None:
    assert titles("# One\n\n```\n\n# no\n") == [(3, "One")]


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("# T", "T"),
        ("   # T ##  ", "T"),
        ("# T#", "T#"),
        ("# T \\#", "T \\#"),
        ("T\n===", "T"),
        ("T\nU\n---", "T U"),
        ("#\tT", "T"),
    ],
)
def test_headings(heading: str, title: str) -> None:
    assert titles(f"{heading}\nText.") == [(heading.count("\n") + 2, title)]


@pytest.mark.parametrize("line", ["#T", "####### T", "\\# T", "* * *", "---", "#\xa0T"])
def test_no_headings(line: str) -> None:
    assert list(pieces(f"{line}\n", markdown=True)) == [(1, "", line)]


def test_levels_and_headings_without_text() -> None:
    text = "# A\n## B\nb\n### C\n## D\n#\ne\n# F\n"
    assert list(pieces(text, markdown=True)) == [
        (3, "A > B", "b"),
        (4, "A > B", "C"),
        (5, "A", "D"),
        (7, "", "e"),
        (8, "", "F"),
    ]


def test_metadata_before_the_text_is_no_heading() -> None:
    text = "---\ntitle: x\ndate: y\n---\n# A\na\n"
    assert list(pieces(text, markdown=True)) == [(1, "", "---\ntitle: x\ndate: y\n---"), (6, "A", "a")]
    assert titles("---\ntext\n\n# A\na") == [(1, ""), (5, "A")]


@QUICK
@given(st.text(st.sampled_from("ab#`~->\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029 \t"), max_size=80), st.booleans())
def test_lines_are_those_of_grep_and_no_word_is_lost(text: str, markdown: bool) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert split_lines(text) == lines
    found = list(pieces(text, markdown=markdown))
    if not markdown:
        assert [body.split("\n", maxsplit=1)[0] for _, _, body in found] == [lines[line - 1] for line, _, _ in found]
    words = set(re.findall("[ab]+", "\n".join(f"{title}\n{body}" for _, title, body in found)))
    assert set(re.findall("[ab]+", text)) <= words


def test_numbers_survive_form_feeds() -> None:
    text = "# One\x0c\n\x0c\nfirst\u2028 \x1cpara\x85\x0b\n\n# Two\n\nsecond"
    assert list(pieces(text, markdown=True))[-1] == (7, "Two", "second")
    assert [line for line, _, _ in pieces("a\r\rb\r\n\r\n" + "x" * 799, markdown=False)] == [1, 5]
