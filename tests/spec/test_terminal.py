"""Texts on a terminal: nothing acts on it, and nothing readable is changed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ninefold.spec.terminal import printable, to_json

QUICK = settings(max_examples=100, deadline=None, derandomize=True)
ANY = st.text(st.characters(exclude_categories=()))
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
#: Marks that set a direction without being seen.
MARKS = "\u061c\u200e\u200f"


def acts(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in BIDI
        or character in MARKS
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\r\nb\tc\0", r"a\r\nb\tc\x00"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800\u202etxt\u2066\u200f\u061c", r"\ud800\u202etxt\u2066\u200f\u061c"),
        ("\x85\x9b31m\u2028", r"\x85\x9b31m\u2028"),
        ("Größe 目 नि \U0001f469\u200d\U0001f4bb \\x1b", "Größe 目 नि \U0001f469\u200d\U0001f4bb \\x1b"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert printable("one\n\ttwo\r\n\x1b", lines=True) == "one\n\ttwo\\r\n\\x1b"


@QUICK
@given(ANY)
@example("".join(map(chr, range(0x3000))))
def test_any_text_becomes_safe(text: str) -> None:
    shown = printable(text)
    assert not [character for character in shown if acts(character)]
    # The same characters remain, except those that act.
    assert all(c in shown for c in text if not acts(c))


@QUICK
@given(st.dictionaries(ANY, ANY | st.lists(ANY)))
def test_json_is_exact_and_safe(value: dict[str, object]) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert not [character for character in text if acts(character) and character not in "\n\t"]
