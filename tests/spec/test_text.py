"""Numbers with their nouns, and what is left of a long text: whole words and whole lines."""

from hypothesis import given
from hypothesis import strategies as st

from ninefold.spec.text import counted, shortened, tail


def test_a_number_with_its_noun() -> None:
    assert counted(1, "damaged reply", "damaged replies") == "1 damaged reply"
    assert counted(0, "damaged reply", "damaged replies") == "0 damaged replies"
    assert counted(2000, "row") == "2,000 rows"
    assert counted(1, "row") == "1 row"


@given(st.lists(st.text("abc/'", min_size=1, max_size=40), max_size=30), st.integers(1, 200))
def test_a_shortened_text_ends_after_a_word_and_says_that_it_does(words: list[str], most: int) -> None:
    text, found = " ".join(words), shortened("\n".join(words), most)
    assert len(found) <= most + 6
    if len(text) <= most:
        assert found == text
    else:
        kept = found.removesuffix(" [...]")
        assert text.startswith(kept)
        assert found != kept
        assert text[len(kept)] == " " or " " not in text[:most]


def test_the_tail_of_an_output_begins_with_a_whole_line() -> None:
    lines = [f"line {n}" for n in range(1000)]
    found = tail("\n".join(lines) + "\n\n", 100).splitlines()
    assert found[0] == "[...]"
    assert found[1:] == lines[-len(found) + 1 :]
    assert 80 < len("\n".join(found[1:])) <= 100
    assert tail("short\n", 100) == "short"
    assert tail("x" * 200, 100) == "[...]\n" + "x" * 100
