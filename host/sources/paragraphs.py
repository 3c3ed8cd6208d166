"""Splitting of prose into runs of paragraphs under one heading, each with the number of its first line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["pieces", "split_lines"]

#: Number of characters up to which paragraphs of a section are joined, and beyond which a paragraph is split. The model
#: reads about as much of one text.
_TOGETHER = 800
#: Ends after which a long paragraph is split, the best first.
_ENDS = ("\n", ". ", "? ", "! ", "; ", ", ", " ")
_LINE_END = re.compile(r"\r\n|\r|\n")


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as editors and grep count them.

    Only a line feed, a carriage return or both together end a line. `str.splitlines` also splits at form feeds, NEL,
    U+2028 and others, which would make all later line numbers wrong.
    """
    return _LINE_END.split(text)


def pieces(text: str, *, markdown: bool) -> Iterator[tuple[int, str, str]]:
    """Yield line (from 1), title and text of each piece of a text, in order. No word is lost.

    Parameters
    ----------
    text : str
    markdown : bool
        Recognise headings and code. A heading, after the headings above it, is the title of its section; without text
        or a deeper heading under it, it is a piece itself. Blank lines inside code do not end a paragraph.
    """
    lines = split_lines(text)
    outline = _Outline.of(lines) if markdown else _Outline()
    above: list[_Heading] = []
    section, number = _Section(), 0
    while number < len(lines):
        heading = outline.headings.get(number)
        if heading is None:
            section.add(number + 1, lines[number], keep=number in outline.code)
            number += 1
            continue
        yield from section.pieces(leaf=not above or heading.level <= above[-1].level)
        above = [*(other for other in above if other.level < heading.level), heading]
        section = _Section(number + 1, [other.title for other in above if other.title])
        number = heading.end
    yield from section.pieces(leaf=True)


@dataclass
class _Section:
    """Paragraphs under one heading, with its line, and its title after the titles above it."""

    line: int = 0
    titles: list[str] = field(default_factory=list)
    _paragraphs: list[tuple[int, list[str]]] = field(default_factory=list)
    _ended: bool = True

    def add(self, number: int, line: str, *, keep: bool) -> None:
        """Add a line; a blank line ends a paragraph unless `keep` is set."""
        blank = not line.strip() and not keep
        if not blank and self._ended:
            self._paragraphs.append((number, []))
        if not blank:
            self._paragraphs[-1][1].append(line)
        self._ended = blank

    def pieces(self, *, leaf: bool) -> Iterator[tuple[int, str, str]]:
        """Yield line, title and text of runs of paragraphs up to the maximum length."""
        if not self._paragraphs and leaf and self.titles:
            yield self.line, " > ".join(self.titles[:-1]), self.titles[-1]
        start, text, title = 0, "", " > ".join(self.titles)
        whole = ((number, "\n".join(lines)) for number, lines in self._paragraphs)
        for line, paragraph in chain.from_iterable(_split(*paragraph) for paragraph in whole):
            if text and len(text) + len(paragraph) > _TOGETHER:
                yield start, title, text
                text = ""
            start, text = (start, f"{text}\n\n{paragraph}") if text else (line, paragraph)
        if text:
            yield start, title, text


def _split(line: int, paragraph: str) -> Iterator[tuple[int, str]]:
    """Yield a paragraph, or its parts if it is too long, each with the number of its first line."""
    start, half = 0, _TOGETHER // 2
    while len(paragraph) - start > _TOGETHER:
        near = paragraph[start : start + _TOGETHER]
        ends = (at + len(mark) for mark in _ENDS if (at := near.rfind(mark, half)) >= 0)
        end = start + next(ends, _TOGETHER)
        yield line + paragraph.count("\n", 0, start), paragraph[start:end].rstrip()
        start = end
    yield line + paragraph.count("\n", 0, start), paragraph[start:]


@dataclass(frozen=True)
class _Heading:
    """Heading with its level from 1 to 6, its text, and the number (from 0) of the line after it."""

    level: int
    title: str
    end: int


@dataclass
class _Outline:
    """Headings of a document by their first line, and the lines inside code and HTML blocks; lines count from 0."""

    headings: dict[int, _Heading] = field(default_factory=dict)
    code: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, lines: list[str]) -> "_Outline":
        """Return the outline of a Markdown document by the rules of CommonMark.

        Headings inside lists and block quotes are not included.
        """
        found = cls()
        front = _front_matter(lines)
        tokens = _parser().parse("\n".join([""] * front + lines[front:]))
        for at, token in enumerate(tokens):
            if token.map is None:
                continue
            begin, end = token.map
            if token.type in ("fence", "code_block", "html_block"):
                found.code.update(range(begin, end))
            elif token.type == "heading_open" and token.level == 0:
                title = " ".join(tokens[at + 1].content.split())
                found.headings[begin] = _Heading(int(token.tag[1:]), title, end)
        return found


def _front_matter(lines: list[str]) -> int:
    """Return the number of lines of metadata between ``---`` lines at the start of a document.

    CommonMark has no metadata and would read its last line as the underline of a heading.
    """
    if lines[0].rstrip() != "---":
        return 0
    return next((at + 1 for at, line in enumerate(lines) if at and line.rstrip() in ("---", "...")), 0)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # Only blocks are parsed; the text of a paragraph is embedded as written.
    return MarkdownIt("commonmark").disable("inline")
