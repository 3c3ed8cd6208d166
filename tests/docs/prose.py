"""The word list of `docs/words.toml`, looked for in all texts: ``python -m tests.docs.prose`` prints what it finds."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.docs.pages import ROOT

__all__ = ["Finding", "Words", "findings", "in_page", "in_source", "words"]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"``.+?``|`[^`\n]+`")
_BRACES = re.compile(r"\{[^{}]*\}")
#: Texts that are quoted, or that a tool wrote: the word list and its tests, and kept verdicts.
_LEFT_OUT = ("tests/docs/", "tests/fixtures/", "typing/")


@dataclass(frozen=True)
class Words:
    """The word list: first words that no docstring has, and patterns with what to write instead."""

    first: frozenset[str]
    avoided: tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class Finding:
    """A word to avoid: where it is, the word as written, and advice."""

    place: str
    word: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.word.split())!r}: {self.advice}"


@cache
def words() -> Words:
    """Return the word list."""
    table = tomllib.loads((ROOT / "docs" / "words.toml").read_text())
    avoided = (
        (re.compile(rf"\b(?:{word})\b".replace(" ", r"\s+"), re.IGNORECASE), use)
        for word, use in table["words"].items()
    )
    return Words(frozenset(table["first_words"]), tuple(avoided))


def findings() -> list[Finding]:
    """Return the findings in all pages and sources that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.py", "Makefile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[Finding] = []
    for name in listed.stdout.split():
        if not name.startswith(_LEFT_OUT) and (ROOT / name).is_file():
            text = (ROOT / name).read_text()
            found += in_source(name, text) if name.endswith(".py") else in_page(name, text)
    return found


def in_page(name: str, text: str) -> list[Finding]:
    """Return the findings in a page of Markdown, outside fenced blocks and inline code."""
    return _search(name, 1, _FENCED.sub(_blank, text))


def in_source(name: str, text: str) -> list[Finding]:
    """Return the findings in a module of Python: docstrings, comments, and literals that hold a space."""
    found: list[Finding] = []
    for line, docstring in _docstrings(ast.parse(text)):
        first = re.match(r"\w+", docstring)
        if first and first[0] in words().first:
            found.append(Finding(f"{name}:{line}", first[0], "begin the docstring with a noun phrase or a verb"))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and _is_text(name, token.string)):
            found += _search(name, token.start[0], _BRACES.sub(_blank, token.string))
    return found


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield node.body[0].lineno, docstring


def _is_text(name: str, literal: str) -> bool:
    """Return True for docstrings, and for messages; literals of tests quote them."""
    return literal.endswith('"""') or (" " in literal and not name.startswith("tests/"))


def _search(name: str, line: int, text: str) -> list[Finding]:
    plain = _CODE.sub(_blank, text)
    return [
        Finding(f"{name}:{line + plain.count(chr(10), 0, match.start())}", match[0], advice)
        for pattern, advice in words().avoided
        for match in pattern.finditer(plain)
    ]


def _blank(match: re.Match[str]) -> str:
    """Return as many lines as the match has, without its text."""
    return "\n" * match[0].count("\n") or "_"


def main() -> int:
    """Print the findings."""
    found = findings()
    sys.stdout.write("".join(f"{finding}\n" for finding in sorted(found, key=lambda finding: finding.place)))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
