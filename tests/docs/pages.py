"""The pages of the documentation, and the fenced blocks in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PAGES", "PARSED_ONLY", "ROOT", "Block", "Command", "blocks", "commands", "words_of"]

ROOT = Path(__file__).parents[2]
PAGES = tuple(str(path.relative_to(ROOT)) for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))
#: Tags of blocks whose commands are checked against the command line and not run.
PARSED_ONLY = frozenset({"slow", "hardware"})
_FENCE = re.compile(r'^```(?P<language>\w+)?(?P<tag> \w+)?(?: title="(?P<title>[^"]+)")?$')
_OPERATORS = frozenset({"&&", "||", "|", ";", ">", "&"})


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language, tag and title, and its text."""

    page: str
    line: int
    language: str
    tag: str
    title: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command, where it is, and the lines that it must print; ``...`` stands for any text."""

    place: str
    text: str
    expected: tuple[str, ...]


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the fenced blocks of a page."""
    return tuple(_blocks(page))


def _blocks(page: str) -> Iterator[Block]:
    opened: tuple[int, re.Match[str]] | None = None
    inside: list[str] = []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if opened is None and line.startswith("```"):
            found = _FENCE.fullmatch(line)
            assert found, f"{page}:{number}: a fence must be ```LANGUAGE [TAG] [title=...], not {line}"
            opened, inside = (number, found), []
        elif opened is not None and line == "```":
            start, fence = opened
            tag, title = (fence["tag"] or "").strip(), fence["title"] or ""
            yield Block(page, start, fence["language"] or "", tag, title, "\n".join(inside) + "\n")
            opened = None
        elif opened is not None:
            inside.append(line)
    assert opened is None, f"{page}:{opened and opened[0]}: a fence is not closed"


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block: lines behind ``$``, with those that a backslash continues."""
    found: list[tuple[int, str, list[str]]] = []
    continues = False
    for offset, line in enumerate(block.text.splitlines(), 1):
        if line.startswith("$ ") or continues:
            if continues:
                number, text, expected = found.pop()
                found.append((number, f"{text} {line.strip()}", expected))
            else:
                found.append((block.line + offset, line[2:], []))
            number, text, expected = found[-1]
            continues = text.endswith("\\")
            found[-1] = (number, text.removesuffix("\\").rstrip(), expected)
        else:
            assert found, f"{block.page}:{block.line}: output stands before the first command"
            if line.strip():
                found[-1][2].append(line)
    return [Command(f"{block.page}:{number}", text, tuple(expected)) for number, text, expected in found]


def words_of(text: str) -> list[list[str]]:
    """Return the words of each program that a line of the shell runs, without its comment and redirections."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;>")
    lexer.whitespace_split = True
    programs: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if word in _OPERATORS:
            skip = word == ">"
            if not skip:
                programs.append([])
        elif not skip:
            programs[-1].append(word)
        else:
            skip = False
    return [words for words in programs if words]
